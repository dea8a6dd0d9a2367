"""Instants and durations are those of `datetime`, and of JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sipmesh.storage.call_records.json_time import JsonClock, duration


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 11, 30, 13, 5, 0, 250_000, UTC),
        datetime(2026, 11, 30, 13, 5, 59, 999_999, UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    ],
)
def test_instant_is_iso_8601_to_the_microsecond(at: datetime) -> None:
    times = JsonClock()
    for _ in range(2):
        read = datetime.fromisoformat(json.loads(times.instant(at.timestamp())))
        assert abs((read - at).total_seconds()) <= 0.000_001
        assert times.instant(at.timestamp() + 61) > times.instant(at.timestamp())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.000"), (0.0015, "0.002"), (12.3, "12.300"), (86_400.05, "86400.050"), (-3.0, "0.000")],
)
def test_duration_has_milliseconds_and_is_never_negative(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert json.loads(text) >= 0
