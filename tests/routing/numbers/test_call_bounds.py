"""Hours of the day, and the time that was spent and the countries that were called in the last 24 hours."""

from __future__ import annotations

import pytest

from sipmesh.routing.numbers.call_bounds import HOUR_S, CalledCountries, Hours, SpentTime

ALICE, BOB = ("sip:alice@a.test", ""), ("sip:bob@a.test", "")


@pytest.mark.parametrize(
    ("hours", "minute", "within"),
    [((480, 1080), 480, True), ((480, 1080), 1080, False), ((480, 1080), 0, False), ((1320, 360), 1330, True),
     ((1320, 360), 359, True), ((1320, 360), 360, False), ((0, 0), 0, False)],
)  # fmt: skip
def test_hours_may_pass_midnight(hours: tuple[int, int], minute: int, *, within: bool) -> None:
    assert (minute in Hours(*hours)) is within


def test_time_is_forgotten_after_24_hours() -> None:
    spent = SpentTime()
    spent.add(ALICE, 60.0, 0.0)
    spent.add(ALICE, 30.0, 10.0)
    spent.add(ALICE, 10.0, 5 * HOUR_S)
    assert spent.of(ALICE, 23.5 * HOUR_S) == 100.0
    assert spent.of(ALICE, 24.5 * HOUR_S) == 10.0
    assert spent.of(ALICE, 30 * HOUR_S) == 0.0
    assert spent.of(BOB, 0.0) == 0.0


def test_names_are_bounded() -> None:
    spent = SpentTime(most=2)
    for name in ("a", "b", "c"):
        spent.add((name, ""), 1.0, 0.0)
    assert [spent.of((name, ""), 0.0) for name in ("a", "b", "c")] == [0.0, 1.0, 1.0]


def test_countries_are_forgotten_24_hours_after_their_last_call() -> None:
    called = CalledCountries()
    called.add(ALICE, "AT43", 0.0)
    called.add(ALICE, "FR33", 0.0)
    called.add(ALICE, "AT43", 5 * HOUR_S)
    assert called.of(ALICE, 23.5 * HOUR_S) == {"AT43", "FR33"}
    assert called.of(ALICE, 24.5 * HOUR_S) == {"AT43"}
    assert called.users(10) == ["sip:alice@a.test"]
    assert called.of(ALICE, 30 * HOUR_S) == frozenset()
    assert called.of(BOB, 0.0) == frozenset()


def test_names_with_countries_are_bounded() -> None:
    called = CalledCountries(most=2)
    for name in ("a", "b", "c"):
        called.add((name, ""), "AT43", 0.0)
    assert [called.of((name, ""), 0.0) for name in ("a", "b", "c")] == [frozenset(), {"AT43"}, {"AT43"}]
