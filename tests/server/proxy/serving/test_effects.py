"""What the server may do next with a request."""

from __future__ import annotations

from typing import get_args

from sipmesh.routing.outcome import Answer, Drop, Forward, Prove, Register, Serve, Store
from sipmesh.server.proxy.serving.effects import AwaitLogin, CloseLink, Effect


def test_effects_of_the_decision_need_no_other_value() -> None:
    assert {Answer, Drop, Forward, Prove, Register, Serve, Store} <= set(get_args(Effect))


def test_effects_are_compared_by_what_they_say() -> None:
    alice, bob = "sip:alice@example.test", "sip:bob@example.test"
    for effect in (AwaitLogin, CloseLink):
        assert effect(alice) == effect(alice) != effect(bob)
