"""A call rings until the last of its INVITEs is answered."""

from __future__ import annotations

from sipmesh.routing.proxy.ringing_calls import RingingCalls


def test_call_rings_until_its_last_invite_is_answered() -> None:
    calls = RingingCalls()
    for call_id in ("fork", "fork", "other"):
        calls.add(call_id)
    calls.remove("fork")
    assert ("fork" in calls, "other" in calls, len(calls), calls.invites) == (True, True, 2, 2)
    calls.remove("fork")
    assert ("fork" in calls, "other" in calls) == (False, True)


def test_unknown_call_is_not_removed() -> None:
    calls = RingingCalls()
    calls.remove("unknown")
    assert ("unknown" in calls, len(calls)) == (False, 0)
