"""Evidence is a value: what the link saw, and nothing that can be changed after."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence, TlsFacts

HERE, THERE = ("192.0.2.1", 5062), ("192.0.2.7", 40_000)


def test_evidence_without_a_handshake_holds_nothing() -> None:
    evidence = PeerEvidence(Direction.ACCEPTED, LinkKind.SERVER, THERE, HERE)
    assert (evidence.presented, evidence.engine_errors, evidence.tls, evidence.failure) == ((), (), TlsFacts(), None)


def test_evidence_cannot_be_changed() -> None:
    evidence = PeerEvidence(Direction.ACCEPTED, LinkKind.SERVER, THERE, HERE)
    with pytest.raises((FrozenInstanceError, AttributeError)):
        evidence.presented = (b"another",)  # type: ignore[misc]


def test_kind_and_direction_are_written_as_the_log_has_them() -> None:
    assert [str(kind) for kind in LinkKind] == ["client", "server", "partner"]
    assert [str(direction) for direction in Direction] == ["accepted", "opened"]
