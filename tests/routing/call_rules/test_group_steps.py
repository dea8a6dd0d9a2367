"""Who of a group rings, and when."""

from __future__ import annotations

import pytest

from sipmesh.routing.call_rules import group_steps
from sipmesh.routing.call_rules.call_rules import CallRules, GroupOrder
from sipmesh.routing.call_rules.group_steps import MOST_AT_ONCE, MOST_TRIED, LastCalled, steps_of
from sipmesh.routing.call_rules.handling import CallHandling

MANY = tuple(f"sip:user{n}@example.test" for n in range(1_000))
A, B, C = MANY[:3]
SALES = "sip:sales@example.test"


def test_members_ring_at_the_same_time_or_in_turn() -> None:
    assert steps_of(CallRules(order=GroupOrder.ALL), (A, B)) == ((A, B),)
    assert steps_of(CallRules(order=GroupOrder.IN_TURN), (A, B)) == ((A,), (B,))
    assert steps_of(CallRules(order="of a later release"), (A, B)) == ((A,), (B,))
    assert steps_of(CallRules(order=GroupOrder.ALL), ()) == ()


@pytest.mark.parametrize("order", GroupOrder)
def test_call_of_a_group_of_a_thousand_goes_to_some_of_them(order: GroupOrder) -> None:
    steps = steps_of(CallRules(order=order), MANY)
    assert [member for step in steps for member in step] == list(MANY[:MOST_TRIED])
    assert max(map(len, steps)) == (MOST_AT_ONCE if order is GroupOrder.ALL else 1)


def test_member_whom_the_group_has_not_called_for_longest_is_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    last, rules = LastCalled(), CallRules(order=GroupOrder.LONGEST_IDLE, members=(A, B, C))
    assert last.in_order(SALES, rules) == [A, B, C]
    for member, order in ((A, [B, C, A]), (B, [C, A, B]), (B, [C, A, B]), (C, [A, B, C])):
        last.called(SALES, member)
        assert last.in_order(SALES, rules) == order
    assert last.in_order("sip:other@example.test", rules) == [A, B, C]
    assert last.in_order(SALES, CallRules(order=GroupOrder.IN_TURN, members=(C, A))) == (C, A)
    monkeypatch.setattr(group_steps, "MOST_REMEMBERED", 3)
    last.called("sip:other@example.test", A)
    assert last.in_order(SALES, rules) == [A, B, C]


def test_times_of_members_add_up_to_the_time_of_the_group() -> None:
    rules = CallRules(order=GroupOrder.IN_TURN, ring_s=40, member_s=15)
    ringing: CallHandling | None = CallHandling(SALES, rules, steps=((A,), (B,), (C,), (A,)), left_s=40)
    seconds = []
    while ringing is not None:
        seconds.append((ringing.ring_s, ringing.has_rung))
        ringing = ringing.after_ring()
    assert seconds == [(15, False), (15, True), (10, True)]
    at_once = CallHandling(SALES, CallRules(order=GroupOrder.ALL, ring_s=40, member_s=15), steps=((A, B),), left_s=40)
    assert (at_once.ring_s, at_once.after_ring(), at_once.after_refusals()) == (40, None, None)


@pytest.mark.parametrize(
    ("has_rung", "status", "to"), [(False, 486, A), (False, 480, B), (False, 404, B), (True, 486, C)]
)
def test_call_that_no_member_takes_goes_to_the_overflow(*, has_rung: bool, status: int, to: str) -> None:
    rules = CallRules(order=GroupOrder.ALL, busy=A, away=B, no_answer=C)
    chain = CallHandling(SALES, rules, steps=((A,),), has_rung=has_rung).after(status)
    assert chain is not None
    assert (chain[-1].by, chain[-1].to) == (SALES, to)
