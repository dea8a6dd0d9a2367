"""What happens to a call before any phone rings."""

from __future__ import annotations

import pytest

from sipmesh.routing.call_rules.call_rules import ANONYMOUS, EVERYBODY, CallerRule, CallRules
from sipmesh.routing.call_rules.diversion import Diversion, Reason
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.outcome import Answer
from sipmesh.routing.proxy.screening import BUSY, DECLINED, screened

ALICE, BOB, CAROL = (f"sip:{user}@example.test" for user in ("alice", "bob", "carol"))
BLOCK, ALLOW = CallerRule.BLOCK, CallerRule.ALLOW


def said(
    rules: CallRules,
    caller: str | None = ALICE,
    *,
    is_hidden: bool = False,
    replaces: bool = False,
    is_beside: bool = False,
) -> object:
    return screened(CallHandling(BOB, rules), caller, is_hidden=is_hidden, replaces=replaces, is_beside=is_beside)


@pytest.mark.parametrize(
    ("key", "caller", "is_hidden"),
    [
        (ALICE, ALICE, False),
        (ALICE, ALICE, True),
        (ANONYMOUS, ALICE, True),
        (ANONYMOUS, None, False),
        (EVERYBODY, ALICE, False),
    ],
)
def test_blocked_caller_is_declined_under_all_other_rules(
    key: str,
    caller: str | None,
    is_hidden: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    rules = CallRules(always=CAROL, callers={key: BLOCK})
    for replaces in (False, True):
        assert said(rules, caller, is_hidden=is_hidden, replaces=replaces) is DECLINED
    assert said(CallRules(callers={key: ALLOW}), caller, is_hidden=is_hidden) is None


def test_caller_who_may_call_by_name_is_blocked_while_withholding_it_if_the_rule_says_so() -> None:
    rules = CallRules(callers={ALICE: ALLOW, ANONYMOUS: BLOCK})
    assert (said(rules, is_hidden=True), said(rules)) == (DECLINED, None)


def test_do_not_disturb_is_busy_or_forwards_as_busy() -> None:
    assert said(CallRules(do_not_disturb=True)) is BUSY
    forwards = CallRules(do_not_disturb=True, busy=CAROL)
    assert said(forwards) == (Diversion(BOB, CAROL, Reason.DO_NOT_DISTURB),)
    assert said(forwards, is_beside=True) is BUSY
    assert said(CallRules(do_not_disturb=True, callers={ALICE: ALLOW})) is None
    assert isinstance(said(CallRules(do_not_disturb=True, callers={EVERYBODY: ALLOW})), Answer)


def test_call_that_takes_the_place_of_another_one_is_not_forwarded() -> None:
    rules = CallRules(always=CAROL, do_not_disturb=True)
    assert said(rules, replaces=True) is None
    assert said(CallRules(always=CAROL)) == (Diversion(BOB, CAROL, Reason.UNCONDITIONAL),)
    assert said(CallRules(always=CAROL), is_beside=True) is None
