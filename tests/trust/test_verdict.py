"""A verdict is a value that cannot be mistaken for a yes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipmesh.errors import SipmeshError
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.verdict import LinkRefused, Verdict
from trust.network import NOON

ASKED = CheckQuestion("role", "a front end", "rule R5")
YES, NO, CANNOT = ASKED.passed("one"), ASKED.refused("a bot", Code.ROLE_NOT_ALLOWED), ASKED.unjudged("no entry")


def verdict(code: Code, *findings: Finding) -> Verdict:
    """A verdict with these findings."""
    return Verdict("fe1.example.test", code, findings, NOON, LinkKind.SERVER, Direction.ACCEPTED, ("192.0.2.7", 5062))


@pytest.mark.parametrize(
    ("code", "findings", "accepted"),
    [
        (Code.ACCEPTED, (YES,), True),
        (Code.ACCEPTED, (), False),
        (Code.ACCEPTED, (YES, NO), False),
        (Code.ACCEPTED, (YES, CANNOT), False),
        (Code.ROLE_NOT_ALLOWED, (YES,), False),
    ],
)
def test_peer_is_accepted_only_if_all_checks_passed(
    code: Code, findings: tuple[Finding, ...], *, accepted: bool
) -> None:
    assert verdict(code, *findings).accepted is accepted


def test_verdict_has_no_truth_value() -> None:
    """'decided' is not 'accepted'."""
    with pytest.raises(TypeError, match="accepted"):
        bool(verdict(Code.ACCEPTED, YES))


def test_the_reason_is_the_finding_with_the_code() -> None:
    refused = verdict(Code.ROLE_NOT_ALLOWED, CANNOT, YES, NO)
    assert refused.reason is NO
    assert refused.failed == (NO, CANNOT)
    assert verdict(Code.ACCEPTED, YES).reason is None


def test_unjudged_findings_come_last() -> None:
    assert YES.judged
    assert NO.judged
    assert not CANNOT.judged
    assert CANNOT.saw == "not judged: no entry"


def test_a_refusal_travels_as_an_error_that_carries_its_verdict() -> None:
    refused = verdict(Code.ROLE_NOT_ALLOWED, NO)
    error = LinkRefused(refused)
    assert isinstance(error, SipmeshError)
    assert error.verdict is refused
    assert str(error) == "role-not-allowed: fe1.example.test"


def test_verdicts_show_themselves_and_can_be_changed_by_copy_only() -> None:
    held = verdict(Code.ACCEPTED, YES)
    assert repr(held) == "<Verdict accepted fe1.example.test accepted server 1/1 passed>"
    assert replace(held, code=Code.REFUSED_BY_PEER).accepted is False
    with pytest.raises(AttributeError):
        held.code = Code.REVOKED  # type: ignore[misc]  # the point of the test


def test_codes_are_the_published_words() -> None:
    published = """accepted not-tls handshake-failed handshake-timeout too-many-handshakes protocol-too-old no-certificate
        untrusted-issuer issuer-not-for-this-name expired not-yet-valid revoked revocation-unknown staple-missing
        not-logged dane-mismatch dane-unknown dane-required
        wrong-usage
        weak-key not-a-leaf malformed-certificate no-sip-identity name-mismatch ambiguous-identity not-in-topology
        role-not-allowed partner-unknown partner-blocked refused-by-peer device-certificate
        not-a-device
        from-not-allowed assertion-not-allowed not-authenticated no-route other-home
        media-not-encrypted media-unreadable media-not-bridged identity-missing identity-invalid"""
    assert [str(code) for code in Code] == published.split()
