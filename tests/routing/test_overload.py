"""Overload control: an age that stays above the target is answered with refusals, a burst is not."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest

from sipmesh.routing.overload import GENTLE, GREATEST, OCTETS_OF_ONE, Demand, OverloadControl

CLOCK = count(1)
TARGET_S, FOR_S, LIMIT_S = 0.1, 0.5, 0.25


def control() -> OverloadControl:
    return OverloadControl(TARGET_S, FOR_S, LIMIT_S)


def hold(held: OverloadControl, age_s: float, since: float, until: float) -> None:
    """Measure *age_s* every 20 ms."""
    for step in range(round((until - since) / 0.02) + 1):
        held.measured(age_s, since + step * 0.02)


def refused(held: OverloadControl, of: int = 100) -> tuple[int, int]:
    """How many of *of* new requests, and of those that are refused last, are refused."""
    demand = Demand()
    return sum(held.refuses_new(demand, 0) for _ in range(of)), sum(held.refuses_last(demand, 0, 0) for _ in range(of))


@pytest.mark.parametrize(("until", "active"), [(1.48, False), (1.5, True)])
def test_overload_begins_when_the_age_was_above_the_target_for_its_time(until: float, *, active: bool) -> None:
    held = control()
    hold(held, 0.2, 1.0, until)
    assert held.active is active


@pytest.mark.parametrize(("age_s", "active"), [(0.1, False), (0.11, True)])
def test_age_at_the_target_is_no_overload(age_s: float, *, active: bool) -> None:
    held = control()
    hold(held, age_s, 1.0, 3.0)
    assert held.active is active


def test_one_good_measurement_begins_the_time_again() -> None:
    """A long turn of the loop is one late measurement, and no overload."""
    held = control()
    hold(held, 0.2, 1.0, 1.4)
    held.measured(0.01, 1.41)
    hold(held, 0.2, 1.42, 1.9)
    assert not held.active


@pytest.mark.parametrize(
    ("age_s", "loss"), [(0.25, GENTLE), (0.375, 0.6), (0.5, 1.0), (0.75, 1.45), (1.0, GREATEST), (9.0, GREATEST)]
)
def test_share_grows_with_the_age_and_no_further(age_s: float, loss: float) -> None:
    held = control()
    hold(held, age_s, 1.0, 6.0)
    assert held.loss == pytest.approx(loss)


@pytest.mark.parametrize(("age_s", "shares"), [(0.25, (20, 0)), (0.5, (100, 0)), (0.75, (100, 45)), (9.0, (100, 90))])
def test_new_requests_are_refused_first(age_s: float, shares: tuple[int, int]) -> None:
    held = control()
    hold(held, age_s, 1.0, 6.0)
    assert refused(held) == pytest.approx(shares, abs=1)


def test_share_falls_back_with_the_age_before_the_target_is_met() -> None:
    held = control()
    hold(held, 9.0, 1.0, 6.0)
    hold(held, 0.2, 6.02, 9.0)
    assert held.loss == pytest.approx(GENTLE)


def test_overload_ends_when_the_age_is_good_again() -> None:
    held = control()
    hold(held, 0.2, 1.0, 3.0)
    hold(held, 0.01, 3.02, 6.0)
    assert (held.active, held.loss, held.episodes, refused(held)) == (False, 0.0, 1, (0, 0))
    assert held.began_at < 3.0 < held.ended_at


@pytest.mark.parametrize(("flood", "active"), [(40, True), (15, False), (0, False)])
def test_overload_is_over_once_the_load_has_fallen_to_half(flood: int, *, active: bool) -> None:
    """A sender could cause it for half a second, and stop: for a second more, a fifth of the requests of others was refused."""
    held, sender, other = control(), Demand(), Demand()
    hold(held, 0.2, 1.0, 1.5)
    for step in range(1, 6):
        for _ in range(40):
            held.refuses_new(sender, 0)
        held.measured(0.2, 1.5 + step * 0.1)
    assert held.loss > 0
    for _ in range(flood):
        held.refuses_new(sender, 0)
    held.measured(0.01, 2.1)
    assert held.active is active
    if not active:
        assert not held.refuses_new(other, 0)


@pytest.mark.parametrize(("now", "active"), [(3.49, True), (3.51, False)])
def test_overload_ends_when_nothing_is_measured(now: float, *, active: bool) -> None:
    """Where nothing waits, nothing is measured."""
    held = control()
    hold(held, 0.2, 1.0, 3.0)
    held.rest(now)
    assert held.active is active


def overloaded(loss: float) -> OverloadControl:
    """An overload that stays at *loss*; :func:`step` begins the next step."""
    held = control()
    held.active, held.loss = True, loss
    return held


def step(held: OverloadControl, asked: dict[Demand, int]) -> dict[Demand, int]:
    """Ask for so many requests of each principal, in turns; gives how many of each were refused, and ends the step."""
    loss, found = held.loss, dict.fromkeys(asked, 0)
    for turn in range(max(asked.values())):
        for demand, wanted in asked.items():
            if turn < wanted:
                found[demand] += held.refuses_new(demand, 0)
    held.measured(LIMIT_S, next(CLOCK))
    held.loss = loss
    return found


@pytest.mark.parametrize("loss", [GENTLE, 0.6, 1.0])
def test_who_floods_sheds_no_requests_of_others(loss: float) -> None:
    """What has to be refused is refused of the flood, and not of those who ask for little."""
    held, flood, others = overloaded(loss), Demand(), [Demand() for _ in range(20)]
    asked = {flood: 1_000, **dict.fromkeys(others, 3)}
    step(held, asked)
    for _ in range(3):
        refused_of = step(held, asked)
        assert [refused_of[other] for other in others] == [0] * 20
        assert refused_of[flood] == pytest.approx(min(1_000, loss * 1_060), abs=70)


@pytest.mark.parametrize("loss", [GENTLE, 1.0])
def test_who_asks_first_in_a_step_does_not_pay_for_the_step_before(loss: float) -> None:
    """A flood has asked for its fair share at the end of a step, and what is refused for that is not refused yet."""
    held, flood, other = overloaded(loss), Demand(), Demand()
    for _ in range(3):
        step(held, {flood: 1_000, other: 1})
        for _ in range(held.fair):
            held.refuses_new(flood, 0)
        held.measured(LIMIT_S, next(CLOCK))
        held.loss = loss
        assert not held.refuses_new(other, 0)


def test_no_sender_is_refused_before_a_step_has_counted_who_asks_for_how_much() -> None:
    held, flood, other = control(), Demand(), Demand()
    hold(held, 0.4, 1.0, 1.5)
    assert held.active
    assert not any(held.refuses_new(demand, 0) for _ in range(1_000) for demand in (flood, flood, flood, other))
    held.measured(0.4, 1.7)
    refused_of = [sum(held.refuses_new(demand, 0) for _ in range(of)) for demand, of in ((flood, 3_000), (other, 500))]
    assert refused_of[0] > 0
    assert refused_of[1] == 0


def test_equal_principals_are_refused_alike() -> None:
    held = overloaded(GENTLE)
    asked = {Demand(): 50 for _ in range(20)}
    step(held, asked)
    refused_of = step(held, asked)
    assert sum(refused_of.values()) == pytest.approx(200, abs=2)
    assert max(refused_of.values()) - min(refused_of.values()) <= 2


@pytest.mark.parametrize("flood", [0, 20])
def test_many_who_ask_for_little_are_refused_too(flood: int) -> None:
    """Otherwise nothing would end an overload that no sender makes alone."""
    held = overloaded(GENTLE)
    total = 0
    for _ in range(5):
        found = step(held, {**{Demand(): 1 for _ in range(1_000)}, **({Demand(): flood} if flood else {})})
        total += sum(found.values())
    assert total == pytest.approx(5 * (1_000 + flood) * GENTLE, abs=(1_000 + flood) * GENTLE)


def test_share_of_a_principal_is_that_of_a_step() -> None:
    held, flood, other = overloaded(GENTLE), Demand(), Demand()
    step(held, {flood: 100, other: 100})
    assert held.fair == 80
    step(held, {flood: 100})
    assert held.fair == 80
    held.undo_last(flood, 0)
    hold(held, 0.01, 1e6, 1e6 + 9)
    assert (held.active, held.fair) == (False, 0)


def test_messages_that_cannot_be_refused_count_as_demand_of_their_sender() -> None:
    """A sender of stray messages gets the refusals: another principal with few requests is admitted, and refused without."""
    refusals = []
    for strays in (0, 1_000):
        held, modest, flood = control(), Demand(), Demand()
        hold(held, 0.4, 1.0, 6.0)
        for step in range(20):
            for _ in range(strays):
                held.count(flood, 0)
            refusals.append(sum(held.refuses_new(modest, 0) for _ in range(5)) if step else 0)
            held.measured(0.4, 7.0 + step)
    assert (sum(refusals[:20]) > 0, sum(refusals[20:])) == (True, 0)


def test_what_a_flood_has_owed_is_not_paid_by_others_when_it_is_over() -> None:
    """Messages that cannot be refused pay nothing: the debt must not wait for the requests of those who come after them."""
    held, modest, flood = control(), Demand(), Demand()
    hold(held, 0.2, 1.0, 6.0)
    refusals = []
    for step in range(60):
        for _ in range(1_000 if step < 50 else 0):
            held.count(flood, 0)
        refusals.append(sum(held.refuses_new(modest, 0) for _ in range(5)))
        held.measured(0.2 if step < 50 else 0.0, 7.0 + step)
    assert sum(refusals[1:50]) == 0
    assert sum(refusals[50:]) == 0


@pytest.mark.parametrize(("asked", "most", "refused_of"), [(5, 5, 0), (45, 5, 20), (45, 0, 0)])
def test_who_asks_for_much_inside_dialogs_is_refused_as_for_new_requests(
    asked: int, most: int, refused_of: int
) -> None:
    """Without a limit they do not count: a server of ours carries many users."""
    held, demand = overloaded(0.5), Demand()
    held._credit, held.fair = 0.0, 3
    assert sum(held.refuses_last(demand, 0, most) for _ in range(asked)) == refused_of
    assert demand.asked == (asked if most else 0)


def test_large_body_counts_as_many_requests() -> None:
    """So a sender of large messages is refused first, although others send as many messages."""
    held, modest, flood = control(), Demand(), Demand()
    hold(held, 0.2, 1.0, 6.0)
    refused = Counter[Demand]()
    for step in range(60):
        for _ in range(4):
            refused[modest] += held.refuses_new(modest, OCTETS_OF_ONE - 1)
            refused[flood] += held.refuses_new(flood, 32 * OCTETS_OF_ONE)
        held.measured(0.2, 7.0 + step)
    assert refused[flood] > 0
    assert refused[modest] <= 1


@pytest.mark.parametrize(("octets", "cost"), [(0, 1), (OCTETS_OF_ONE - 1, 1), (OCTETS_OF_ONE, 2), (131_072, 33)])
def test_cost_of_a_message_grows_with_its_octets(octets: int, cost: int) -> None:
    held, demand = control(), Demand()
    held.count(demand, octets)
    assert demand.asked == cost
