"""SCTs in a certificate: only those count that a known log has signed for this certificate."""

from __future__ import annotations

import base64
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.ports import HOST, free_port
from sipmesh.trust.transparency.sct import MOST_SCTS, logged_by
from trust.ct import SigningLog, logged, stapled, with_scts

NOW = datetime.now(UTC).replace(microsecond=0)
FORGE = Forge(NOW)
CA, OTHER = FORGE.organisation("Public"), FORGE.organisation("Other")
ONE, TWO = SigningLog("Google"), SigningLog("Cloudflare")
LOGS = (ONE.known(), TWO.known())
NAME = "sip.partner.test"


def test_scts_of_two_operators_count() -> None:
    made = logged(FORGE, CA, NAME, by=(ONE, TWO))
    assert logged_by(made.certificate, CA.certificate, LOGS, NOW) == (("Google", "Cloudflare"), ())


def of_another(*_: object) -> Forged:
    other = FORGE.server(CA, "other.test", serial=7).certificate.tbs_certificate_bytes
    return with_scts(FORGE, CA, NAME, scts=[log.sct(other, CA.certificate, NOW) for log in (ONE, TWO)])


@pytest.mark.parametrize(
    ("made", "operators", "told"),
    [
        (logged(FORGE, CA, NAME, by=(ONE, TWO)), ("Google", "Cloudflare"), ["valid", "valid"]),
        (logged(FORGE, CA, NAME, by=(SigningLog("Evil"), ONE)), ("Google",), ["unknown log", "valid"]),
        (of_another(), (), ["invalid", "invalid"]),
    ],
    ids=["right", "an unknown log", "of another certificate"],
)
def test_openssl_says_the_same_of_each_sct(
    tmp_path: Path, made: Forged, operators: tuple[str, ...], told: list[str]
) -> None:
    assert logged_by(made.certificate, CA.certificate, LOGS, NOW).operators == operators
    assert said_by_openssl(tmp_path, made) == told


def said_by_openssl(folder: Path, made: Forged) -> list[str]:
    """What a client of openssl that knows both logs says of each SCT of the certificate of a server."""
    chain, key = made.write(folder, "leaf")
    root, _ = (CA.issuer or CA).write(folder, "root")
    known = "".join(
        f"[{log.operator}]\ndescription={log.operator}\nkey={base64.b64encode(log.spki).decode()}\n"
        for log in (ONE, TWO)
    )
    (folder / "logs.cnf").write_text(f"enabled_logs={ONE.operator},{TWO.operator}\n{known}")
    address = f"{HOST}:{free_port()}"
    server = (
        "openssl",
        "s_server",
        "-accept",
        address,
        "-cert",
        chain,
        "-cert_chain",
        chain,
        "-key",
        key,
        "-naccept",
        "1",
    )
    client = ("openssl", "s_client", "-connect", address, "-CAfile", root, "-ct", "-ctlogfile", folder / "logs.cnf")
    with subprocess.Popen(server, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as serving:
        assert serving.stdout is not None
        while (line := serving.stdout.readline()) and not line.startswith(b"ACCEPT"):
            pass
        shown = subprocess.run(client, input=b"", capture_output=True, check=False, timeout=60).stdout.decode()
        serving.kill()
    return sorted(re.findall(r"SCT validation status: (.+)", shown))


def test_log_may_have_an_rsa_key() -> None:
    log = SigningLog("RSA", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    made = logged(FORGE, CA, NAME, by=(log,))
    assert logged_by(made.certificate, CA.certificate, (log.known(),), NOW).operators == ("RSA",)


def test_two_logs_of_one_operator_count_once() -> None:
    again = SigningLog("Google")
    made = logged(FORGE, CA, NAME, by=(ONE, again))
    assert logged_by(made.certificate, CA.certificate, (ONE.known(), again.known()), NOW).operators == ("Google",)


def test_certificate_without_an_sct_is_in_no_log() -> None:
    made = FORGE.server(CA, NAME)
    assert logged_by(made.certificate, CA.certificate, LOGS, NOW) == ((), ("it has no SCT",))


def test_sct_of_an_unknown_log_does_not_count() -> None:
    made = logged(FORGE, CA, NAME, by=(SigningLog("Evil"), ONE))
    found = logged_by(made.certificate, CA.certificate, LOGS, NOW)
    assert found.operators == ("Google",)
    assert "is not in the topology" in found.faults[0]


def test_sct_of_another_certificate_does_not_count() -> None:
    """An attacker can copy SCTs from any certificate of the web."""
    other = FORGE.server(CA, "other.test", serial=7).certificate.tbs_certificate_bytes
    made = with_scts(FORGE, CA, NAME, scts=[ONE.sct(other, CA.certificate, NOW)])
    assert logged_by(made.certificate, CA.certificate, LOGS, NOW) == (
        (),
        ("the SCT of Google is not signed by its log",),
    )


def test_sct_is_bound_to_the_key_of_the_issuer() -> None:
    made = logged(FORGE, CA, NAME, by=(ONE,))
    assert logged_by(made.certificate, OTHER.certificate, LOGS, NOW).operators == ()


def test_log_of_another_key_under_the_same_operator_does_not_count() -> None:
    made = logged(FORGE, CA, NAME, by=(ONE,))
    assert logged_by(made.certificate, CA.certificate, (SigningLog("Google").known(),), NOW).operators == ()


@pytest.mark.parametrize(("later", "counts"), [(timedelta(minutes=4), True), (timedelta(minutes=6), False)])
def test_sct_of_the_future_does_not_count(later: timedelta, *, counts: bool) -> None:
    made = logged(FORGE, CA, NAME, by=(ONE,), at=NOW + later)
    assert bool(logged_by(made.certificate, CA.certificate, LOGS, NOW).operators) is counts


@pytest.mark.parametrize(("until", "counts"), [(timedelta(0), True), (timedelta(hours=-2), False)])
def test_sct_of_a_retired_log_counts_up_to_its_end(until: timedelta, *, counts: bool) -> None:
    made = logged(FORGE, CA, NAME, by=(ONE,))
    found = logged_by(made.certificate, CA.certificate, (ONE.known(NOW + until),), NOW)
    assert bool(found.operators) is counts
    assert counts or "counts until" in found.faults[0]


def test_number_of_scts_that_are_verified_is_bounded() -> None:
    tbs = FORGE.server(CA, NAME, serial=0x5C7).certificate.tbs_certificate_bytes
    evil, good = SigningLog("Evil").sct(tbs, CA.certificate, NOW), ONE.sct(tbs, CA.certificate, NOW)
    for before, counts in ((MOST_SCTS - 1, True), (MOST_SCTS, False)):
        made = with_scts(FORGE, CA, NAME, scts=[*[evil] * before, good])
        assert bool(logged_by(made.certificate, CA.certificate, LOGS, NOW).operators) is counts


def test_scts_of_a_stapled_ocsp_response_count_beside_those_in_the_certificate() -> None:
    made = logged(FORGE, CA, NAME, by=(ONE,))
    staple = stapled(made.certificate, TWO.sct_of(made.certificate, NOW))
    assert logged_by(made.certificate, CA.certificate, LOGS, NOW, staple) == (("Google", "Cloudflare"), ())
    assert logged_by(made.certificate, CA.certificate, LOGS, NOW).operators == ("Google",)


def test_stapled_scts_of_another_certificate_or_log_do_not_count() -> None:
    """A peer chooses what it staples: it can copy a response about any certificate of the web."""
    made, other = FORGE.server(CA, NAME), FORGE.server(CA, "other.test", serial=7)
    copied = [log.sct_of(other.certificate, NOW) for log in (ONE, TWO)]
    as_precertificate = ONE.sct(made.certificate.tbs_certificate_bytes, CA.certificate, NOW)
    unknown = SigningLog("Evil").sct_of(made.certificate, NOW)
    for scts in (copied, [as_precertificate], [unknown], []):
        for about in (made.certificate, other.certificate):
            found = logged_by(made.certificate, CA.certificate, LOGS, NOW, stapled(about, *scts))
            assert found.operators == ()
    right = stapled(made.certificate, *(log.sct_of(made.certificate, NOW) for log in (ONE, TWO)))
    assert logged_by(made.certificate, CA.certificate, LOGS, NOW, right).operators == ("Google", "Cloudflare")


@pytest.mark.parametrize("staple", [b"", b"\x30\x00", b"\x30\x03\x0a\x01\x06", b"not DER", b"\x30\x84\xff\xff\xff\xff"])
def test_staple_that_cannot_be_read_takes_nothing_from_the_certificate(staple: bytes) -> None:
    made = logged(FORGE, CA, NAME, by=(ONE, TWO))
    assert logged_by(made.certificate, CA.certificate, LOGS, NOW, staple).operators == ("Google", "Cloudflare")


def test_number_of_stapled_scts_is_bounded() -> None:
    made = FORGE.server(CA, NAME)
    many = [SigningLog("Evil").sct_of(made.certificate, NOW)] * MOST_SCTS
    staple = stapled(made.certificate, *many, ONE.sct_of(made.certificate, NOW))
    assert logged_by(made.certificate, CA.certificate, LOGS, NOW, staple).operators == ()
