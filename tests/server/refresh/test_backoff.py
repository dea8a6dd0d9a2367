"""When a source is fetched next, and when its failures are an alarm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.server.refresh.backoff import JITTER, Backoff

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def pace(chance: float = 0.0) -> Backoff:
    return Backoff(lambda: chance)


@pytest.mark.parametrize(
    ("life", "pause"),
    [(7 * DAY, DAY), (2 * DAY, DAY), (8 * HOUR, 4 * HOUR), (MINUTE, MINUTE), (-DAY, MINUTE)],
)
def test_next_fetch_is_at_half_of_the_life_that_remains_within_bounds(life: timedelta, pause: timedelta) -> None:
    assert pace().succeeded(NOON, NOON + life) == pause


def test_random_part_only_shortens_a_pause() -> None:
    assert pace(1.0).succeeded(NOON, NOON + 8 * HOUR) == 4 * HOUR * (1 - JITTER)


def test_pauses_double_up_to_an_hour_and_start_again_after_a_success() -> None:
    one = pace()
    assert [one.failed(NOON, "gone") / MINUTE for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert one.failing_since == NOON
    one.succeeded(NOON, NOON + DAY)
    assert not one.alarms(NOON + DAY, NOON)
    assert not one.why
    assert one.failed(NOON, "gone") == MINUTE


@pytest.mark.parametrize(
    ("failing", "left", "alarm"),
    [
        (HOUR, 4 * HOUR, False),
        (HOUR + MINUTE, 4 * HOUR, True),
        (11 * HOUR, 6 * DAY, False),
        (12 * HOUR, 6 * DAY, True),
        (MINUTE, -HOUR, True),
    ],
)
def test_alarm_comes_after_a_quarter_of_the_remaining_validity_or_half_a_day(
    failing: timedelta, left: timedelta, *, alarm: bool
) -> None:
    one = pace()
    one.failed(NOON, "gone")
    at = NOON + failing
    assert one.alarms(at, at + left) is alarm


def test_failing_source_without_a_stored_result_is_an_alarm_at_once() -> None:
    one = pace()
    assert not one.alarms(NOON, None)
    one.failed(NOON, "gone")
    assert one.alarms(NOON, None)
