"""Evidence is a value: only what the link saw."""

from __future__ import annotations

from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence, TlsFacts

HERE, THERE = ("192.0.2.1", 5062), ("192.0.2.7", 40_000)


def test_evidence_without_a_handshake_is_empty() -> None:
    evidence = PeerEvidence(Direction.ACCEPTED, LinkKind.SERVER, THERE, HERE)
    assert (evidence.presented, evidence.engine_errors, evidence.tls, evidence.failure) == ((), (), TlsFacts(), None)


def test_links_that_saw_the_same_have_equal_evidence() -> None:
    evidence = PeerEvidence(Direction.ACCEPTED, LinkKind.SERVER, THERE, HERE, (b"leaf",))
    assert evidence == PeerEvidence(Direction.ACCEPTED, LinkKind.SERVER, THERE, HERE, (b"leaf",))
    assert evidence != PeerEvidence(Direction.OPENED, LinkKind.SERVER, THERE, HERE, (b"leaf",))
    assert hash(evidence) != hash(PeerEvidence(Direction.ACCEPTED, LinkKind.SERVER, THERE, HERE))


def test_kind_and_direction_are_written_as_the_log_has_them() -> None:
    assert [str(kind) for kind in LinkKind] == ["client", "server", "partner"]
    assert [str(direction) for direction in Direction] == ["accepted", "opened"]
