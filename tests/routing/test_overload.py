"""Overload control: an age that stays above the target is answered with refusals, a burst is not."""

from __future__ import annotations

import pytest

from sipmesh.routing.overload import GENTLE, GREATEST, OverloadControl

TARGET_S, FOR_S, LIMIT_S = 0.1, 0.5, 0.25


def control() -> OverloadControl:
    return OverloadControl(TARGET_S, FOR_S, LIMIT_S)


def hold(held: OverloadControl, age_s: float, since: float, until: float) -> None:
    """Measure *age_s* every 20 ms."""
    for step in range(round((until - since) / 0.02) + 1):
        held.measured(age_s, since + step * 0.02)


def refused(held: OverloadControl, of: int = 100) -> tuple[int, int]:
    """How many of *of* new requests, and of those that are refused last, are refused."""
    return sum(held.refuses_new() for _ in range(of)), sum(held.refuses_last() for _ in range(of))


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


@pytest.mark.parametrize(("now", "active"), [(3.49, True), (3.51, False)])
def test_overload_ends_when_nothing_is_measured(now: float, *, active: bool) -> None:
    """Where nothing waits, nothing is measured."""
    held = control()
    hold(held, 0.2, 1.0, 3.0)
    held.rest(now)
    assert held.active is active
    assert "refused>" in repr(held)
