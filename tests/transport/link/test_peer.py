"""What a link knows of its peer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.errors import LocalError
from sipmesh.transport.link.peer import A_SECOND, LinkPeer
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence
from sipmesh.trust.finding import Finding
from sipmesh.trust.verdict import Verdict

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
REMOTE = ("192.0.2.1", 5062)
EVIDENCE = PeerEvidence(Direction.OPENED, LinkKind.SERVER, REMOTE, ("192.0.2.2", 40_000), presented=(b"leaf",))
FAILED = replace(EVIDENCE, failure=HandshakeFailure("handshake-failed", "test"))


def verdict(code: Code = Code.ACCEPTED, *, ends: datetime | None = None) -> Verdict:
    finding = Finding("test", passed=code is Code.ACCEPTED, wanted="", saw="", rule="R4", code=code)
    found = (finding,)
    return Verdict("there.test", code, found, NOON, LinkKind.SERVER, Direction.OPENED, REMOTE, ends=ends)


def accepted(*, confirmed: bool = False, ends: datetime | None = None) -> LinkPeer:
    peer = LinkPeer(confirmed=confirmed)
    peer.accept(EVIDENCE, verdict())
    peer.rely_on(verdict(ends=ends))
    return peer


@pytest.mark.parametrize(("evidence", "code"), [(EVIDENCE, Code.EXPIRED), (FAILED, Code.ACCEPTED)])
def test_peer_is_accepted_only_after_a_handshake_and_an_accepted_verdict(evidence: PeerEvidence, code: Code) -> None:
    peer = LinkPeer(confirmed=True)
    with pytest.raises(LocalError):
        peer.accept(evidence, verdict(code))
    assert not peer.accepted
    peer.accept(EVIDENCE, verdict())
    assert peer.accepted


def test_evidence_is_kept_only_if_a_certificate_was_judged() -> None:
    peer = LinkPeer(confirmed=True)
    peer.accept(replace(EVIDENCE, presented=()), verdict())
    assert peer.evidence is None
    assert accepted().evidence is EVIDENCE


def test_certificate_is_valid_until_the_end_of_the_second_in_its_not_after() -> None:
    """RFC 5280 section 4.1.2.5."""
    peer = accepted(ends=NOON)
    assert peer.expired_evidence(NOON.timestamp()) is None
    assert peer.expired_evidence((NOON + timedelta(seconds=A_SECOND)).timestamp()) is EVIDENCE
    assert accepted(ends=None).expired_evidence((NOON + timedelta(days=9_999)).timestamp()) is None


def test_peer_that_closes_before_it_confirmed_has_refused_us() -> None:
    found = accepted().late_refusal("alert")
    assert found is not None
    assert found.failure is not None
    assert (found.failure.code, found.presented) == ("refused-by-peer", EVIDENCE.presented)
    assert "alert" in found.failure.text


def test_peer_that_confirmed_or_presented_nothing_has_not_refused_us() -> None:
    assert accepted(confirmed=True).late_refusal("alert") is None
    assert LinkPeer(confirmed=False).late_refusal("alert") is None
