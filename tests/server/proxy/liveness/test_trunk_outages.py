"""A trunk that has failed is tried last for a while, and longer if it fails again."""

from __future__ import annotations

from sipmesh.server.proxy.liveness.trunk_outages import FIRST_PAUSE_S, LONGEST_PAUSE_S, REFUSED_BY, TrunkOutages
from sipmesh.server.quotas.limited_log import LimitedLog
from support.telling import Told

FIRST, SECOND = "first.test", "second.test"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_trunk_that_has_failed_is_tried_last_until_its_pause_is_over() -> None:
    clock, told = Clock(), Told()
    outages = TrunkOutages(clock, LimitedLog(told.log, clock))
    assert outages.last((FIRST, SECOND)) == [FIRST, SECOND]
    outages.failed(FIRST)
    assert outages.last((FIRST, SECOND)) == [SECOND, FIRST]
    clock.now += FIRST_PAUSE_S
    assert outages.last((FIRST, SECOND)) == [FIRST, SECOND]


def test_trunk_is_silent_after_two_lost_answers_and_well_after_two_answers() -> None:
    """One lost answer changes nothing, and neither does one answer."""
    clock, told = Clock(), Told()
    outages = TrunkOutages(clock, LimitedLog(told.log, clock))
    found = []
    for is_well in (False, True, False, False, True, False, True, True):
        outages.pinged(FIRST, is_well=is_well)
        found.append(outages.last((FIRST, SECOND))[0] == FIRST)
    assert found == [True, True, True, False, False, False, False, True]


def test_call_that_rings_at_a_silent_trunk_makes_it_well() -> None:
    clock, told = Clock(), Told()
    outages = TrunkOutages(clock, LimitedLog(told.log, clock))
    for _ in range(2):
        outages.pinged(FIRST, is_well=False)
    assert outages.last((FIRST, SECOND)) == [SECOND, FIRST]
    outages.answered(FIRST)
    assert outages.last((FIRST, SECOND)) == [FIRST, SECOND]


def test_pause_doubles_with_each_failure_up_to_a_bound() -> None:
    clock, told = Clock(), Told()
    outages = TrunkOutages(clock, LimitedLog(told.log, clock))
    pauses = []
    for _ in range(6):
        outages.failed(FIRST)
        outages.failed(FIRST)  # of another call at the same time: it counts once
        before = clock.now
        while outages.last((FIRST, SECOND))[0] == SECOND:
            clock.now += FIRST_PAUSE_S
        pauses.append(clock.now - before)
    assert pauses == [30.0, 60.0, 120.0, 240.0, 480.0, LONGEST_PAUSE_S]


def test_trunk_that_carries_a_call_is_as_good_as_before() -> None:
    clock, told = Clock(), Told()
    outages = TrunkOutages(clock, LimitedLog(told.log, clock))
    outages.failed(FIRST)
    outages.answered(FIRST)
    outages.answered(SECOND)
    assert outages.last((FIRST, SECOND)) == [FIRST, SECOND]


def test_trunk_that_refuses_ten_calls_in_a_row_says_so_until_it_carries_one() -> None:
    clock, told = Clock(), Told()
    outages = TrunkOutages(clock, LimitedLog(told.log, clock))
    for caller in [*(["alice"] * REFUSED_BY)[2:], "bob"]:
        outages.refused(FIRST, 403, caller)
    assert outages.why_refused(FIRST) == ""
    outages.refused(FIRST, 503, "alice")
    outages.refused(SECOND, 403, "alice")
    assert outages.why_refused(FIRST) == "it has refused the last 10 calls, the last one with 503"
    assert outages.why_refused(SECOND) == ""
    outages.answered(FIRST, is_new_call=False)
    assert outages.why_refused(FIRST)
    outages.answered(FIRST)
    assert outages.why_refused(FIRST) == ""


def test_refused_calls_of_one_caller_say_nothing_of_the_trunk_until_another_caller_is_refused() -> None:
    clock, told = Clock(), Told()
    outages = TrunkOutages(clock, LimitedLog(told.log, clock))
    for _ in range(2 * REFUSED_BY):
        outages.refused(FIRST, 420, "mallory")
    assert outages.why_refused(FIRST) == ""
    outages.refused(FIRST, 403, "alice")
    assert outages.why_refused(FIRST)
