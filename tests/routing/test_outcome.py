"""Only a request that is forwarded gets an identity."""

from __future__ import annotations

from sipmesh.routing.outcome import Answer, Drop, Forward, Prove, Register, ToUser, attributed
from sipmesh.routing.target import ServerTarget
from sipmesh.trust.evidence import LinkKind

TARGET = ServerTarget(("fe1.example.test",), LinkKind.SERVER, "sip:bob@example.test")


def test_forward_gets_the_identity_and_keeps_its_targets() -> None:
    forward = attributed(Forward((TARGET,), None), "sip:alice@example.test")
    assert forward == Forward((TARGET,), "sip:alice@example.test")
    assert attributed(forward, None) == Forward((TARGET,), None)


def test_other_outcomes_are_unchanged() -> None:
    outcomes = (Answer(403), Drop("nobody"), Register("sip:a@b"), Prove("sip:a@b", 401), ToUser("sip:a@b", None))
    assert all(attributed(outcome, "sip:alice@example.test") is outcome for outcome in outcomes)
