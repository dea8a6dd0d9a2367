"""The charts of the first page: bars in a drawing of fixed size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sipmesh.server.console.pages.chart import BAR, BARS, HEIGHT, charts_of
from sipmesh.server.management.replies import TrafficPoint, TrafficReply

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def traffic(*messages: int) -> TrafficReply:
    points = [TrafficPoint(NOON + n * timedelta(minutes=15), count, n, 0) for n, count in enumerate(messages)]
    return TrafficReply(900, NOON, points, {})


def test_highest_bar_fills_the_drawing_and_the_newest_is_at_the_right() -> None:
    messages, devices, refusals = charts_of(traffic(5, 0, 20))
    assert [(bar.x, bar.height) for bar in messages.bars] == [
        ((BARS - 3) * BAR, HEIGHT / 4),
        ((BARS - 2) * BAR, 0),
        ((BARS - 1) * BAR, HEIGHT),
    ]
    assert (messages.figure, devices.figure, refusals.figure) == (25, 2, 0)
    assert messages.peak is not None
    assert (messages.peak.value, messages.peak.at, refusals.peak) == (20, NOON + timedelta(minutes=30), None)


def test_chart_has_a_day_at_most_and_can_be_empty() -> None:
    assert len(charts_of(traffic(*range(BARS + 9)))[0].bars) == BARS
    assert charts_of(traffic())[1].figure == 0
