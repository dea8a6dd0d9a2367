"""Text from certificates is written to logs and terminals without control characters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.printable import LONGEST
from sipmesh.trust.formatting import MOST, tell, tell_address, tell_list, tell_span, tell_subject, tell_time, tell_value
from sipmesh.trust.judgement.explain import explain, headline
from trust.network import NOON, Network, verdict_on


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("CN=Ünï cødé", "CN=Ünï cødé"),
        ("CN=a\nrefused: b", "CN=a\\nrefused: b"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202eevil", "\\u202eevil"),
        ("x" * LONGEST, "x" * LONGEST),
        ("x" * (LONGEST + 1), "x" * LONGEST + "... (2001 letters)"),
    ],
)
def test_control_characters_are_escaped_and_long_text_is_cut(text: str, told: str) -> None:
    assert tell(text) == told


def test_a_subject_with_control_characters_stays_on_its_line(net: Network) -> None:
    shown = net.fe2_certificate(common_name="x\n  ✓ role\x1b[1m")
    verdict = verdict_on(shown, net.policy())
    assert all(line.isprintable() for line in [*explain(verdict), headline(verdict)])


def test_a_certificate_with_thousands_of_names_makes_a_bounded_explanation(net: Network) -> None:
    shown = net.forge.server(net.ours, dns=tuple(f"{number}.example.test" for number in range(3000)))
    assert len("\n".join(explain(verdict_on(shown, net.policy())))) < 20_000


@pytest.mark.parametrize(("count", "end"), [(MOST, "19"), (MOST + 1, "19 and 1 more")])
def test_a_long_list_says_how_many_more_there_are(count: int, end: str) -> None:
    assert tell_list([str(number) for number in range(count)]).endswith(end)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2))])
def test_times_are_written_in_utc(zone: timezone) -> None:
    assert tell_time(NOON.astimezone(zone)) == "2026-03-01 12:00:00Z"
    assert tell_time(datetime(999, 1, 1, tzinfo=UTC)) == "0999-01-01 00:00:00Z"


def test_ipv6_address_is_written_in_brackets() -> None:
    assert tell_address(("::1", 5061)) == "[::1]:5061"
    assert tell_address(("127.0.0.1", 5061)) == "127.0.0.1:5061"


def test_file_is_written_without_a_port() -> None:
    assert tell_address(("impostor.pem", 0)) == "impostor.pem"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (250, "4 min 10 s"),
        (3_600, "1 h"),
        (3_601, "1 h"),
        (86_400 * 29 + 3_600 * 23 + 59, "29 d 23 h"),
        (-90, "1 min 30 s ago"),
    ],
)
def test_time_span_is_written_in_its_two_largest_units(seconds: float, told: str) -> None:
    assert tell_span(timedelta(seconds=seconds)) == tell_span(seconds) == told


def test_certificate_without_a_subject_is_named_by_its_serial(net: Network) -> None:
    named = net.fe2_certificate().certificate
    assert tell_subject(named) == named.subject.rfc4514_string()
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(named.subject, x509.Name([]), key.public_key(), 0xBAD, NOON, NOON)
    assert tell_subject(builder.sign(key, hashes.SHA256())) == "serial bad"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (True, "yes"),
        (3, "3"),
        ({"carol@example.test": "block", "days": [1, 2]}, "carol@example.test: block; days: 1; 2"),
        ("2026-12-02T01:00:00+01:00", "2026-12-02 00:00:00Z"),
        ("2026-12-02T01:00:00.123456+00:00", "2026-12-02 01:00:00Z"),
        ("2026-99-99T01:00:00+00:00", "2026-99-99T01:00:00+00:00"),
        ("a name", "a name"),
    ],
)
def test_value_of_json_is_written_for_people(value: object, told: str) -> None:
    """What looks like an instant and is none stays as it is."""
    assert tell_value(value) == told
