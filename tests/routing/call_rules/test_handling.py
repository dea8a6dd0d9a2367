"""Where a call goes that rings: by what the phones answer, and by their silence."""

from __future__ import annotations

import pytest

from sipmesh.routing.call_rules.call_rules import CallRules
from sipmesh.routing.call_rules.diversion import Diversion, Reason
from sipmesh.routing.call_rules.handling import CallHandling

ALICE, BOB, CAROL, DORA = (f"sip:{user}@example.test" for user in ("alice", "bob", "carol", "dora"))
HANDLING = CallHandling(BOB, CallRules(busy=ALICE, no_answer=CAROL, away=DORA, also=(ALICE, CAROL)))


@pytest.mark.parametrize(
    ("status", "to", "reason"),
    [
        (486, ALICE, Reason.USER_BUSY),
        (600, ALICE, Reason.USER_BUSY),
        (603, ALICE, Reason.USER_BUSY),
        (480, DORA, Reason.AWAY),
        (408, DORA, Reason.AWAY),
        (430, DORA, Reason.AWAY),
    ],
)
def test_answer_of_the_phones_says_where_a_call_goes(status: int, to: str, reason: Reason) -> None:
    assert HANDLING.after(status) == (Diversion(BOB, to, reason),)
    assert CallHandling(BOB).after(status) is None


@pytest.mark.parametrize("status", [302, 403, 404, 415, 488, 500, 604])
def test_other_answers_go_to_the_caller(status: int) -> None:
    assert HANDLING.after(status) is None


def test_unanswered_call_goes_on_behind_those_who_have_forwarded_it() -> None:
    before = Diversion(ALICE, BOB, Reason.UNCONDITIONAL)
    rung = CallHandling(BOB, HANDLING.rules, (before,)).unanswered()
    assert rung == (before, Diversion(BOB, CAROL, Reason.NO_ANSWER))
    assert CallHandling(BOB).unanswered() is None


def test_each_further_target_is_a_call_of_its_own() -> None:
    assert HANDLING.besides() == [(Diversion(BOB, to, Reason.FOLLOW_ME),) for to in (ALICE, CAROL)]
