"""Times as an operator types them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.cli.instants import day, instant, zone
from sipmesh.errors import OperatorError


@pytest.fixture(name="berlin", autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine is in Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def now() -> datetime:
    """Half past two on the day after the summer time has ended."""
    return datetime(2026, 10, 26, 13, 30, tzinfo=UTC).astimezone()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2h", datetime(2026, 10, 26, 11, 30, tzinfo=UTC)),
        ("30min", datetime(2026, 10, 26, 13, 0, tzinfo=UTC)),
        ("30m", datetime(2026, 10, 26, 13, 0, tzinfo=UTC)),
        ("7d", datetime(2026, 10, 19, 13, 30, tzinfo=UTC)),
        ("2026-10-26", datetime(2026, 10, 25, 23, 0, tzinfo=UTC)),
        ("2026-10-24", datetime(2026, 10, 23, 22, 0, tzinfo=UTC)),
        ("2026-10-26T14:00", datetime(2026, 10, 26, 13, 0, tzinfo=UTC)),
        ("2026-10-26T14:00Z", datetime(2026, 10, 26, 14, 0, tzinfo=UTC)),
    ],
)
def test_time_is_local_unless_it_says_otherwise(typed: str, meant: datetime) -> None:
    assert instant(typed, now()) == meant


@pytest.mark.parametrize(
    "typed", ["", "yesterday", "2h ago", "-2h", "26.10.2026", "9999999999d", "999999w", "2026-13-01"]
)
def test_what_is_no_time_is_refused_with_examples(typed: str) -> None:
    with pytest.raises(OperatorError, match="is no time; write 2026-11-30"):
        instant(typed, now())


def test_day_on_which_the_summer_time_ends_has_25_hours() -> None:
    begin, end = day(now(), 1)
    assert end - begin == timedelta(hours=25)
    assert begin == datetime(2026, 10, 24, 22, 0, tzinfo=UTC)


def test_days_of_utc_are_those_of_utc() -> None:
    begin, end = day(datetime(2026, 10, 26, 0, 30, tzinfo=UTC), 1)
    assert (begin, end) == (datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC))


def test_zone_is_named_with_its_offset() -> None:
    assert zone(now()) == "CET (UTC+01:00)"
    assert zone(datetime.now(UTC)) == "UTC"
