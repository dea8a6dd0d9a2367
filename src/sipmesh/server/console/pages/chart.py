"""A chart of the last day as bars, one for each interval: plain numbers, which a template draws as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sipmesh.server.management.replies import TrafficPoint, TrafficReply

BARS: Final = 96
BAR: Final = 10
HEIGHT: Final = 56
"""Of the drawing, in its own units; each bar has a width of `BAR`, with the gap after it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One interval that begins *at*: its place in the drawing, and its value."""

    at: datetime
    value: int
    x: int
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What is counted (*label*), and in one *figure* how much; *peak* is the highest bar, None if all are empty."""

    label: str
    figure: int
    unit: str
    bars: Sequence[Bar]
    peak: Bar | None

    @classmethod
    def of(cls, label: str, unit: str, points: Sequence[TrafficPoint], value: Callable[[TrafficPoint], int]) -> Chart:
        """Draw one value of each point, the newest at the right; the figure is the sum, or of devices the last one."""
        values = [value(point) for point in points][-BARS:]
        most = max(values, default=0)
        left = BARS - len(values)
        bars = [
            Bar(point.at, count, (left + place) * BAR, round(HEIGHT * count / most, 1) if most else 0)
            for place, (point, count) in enumerate(zip(points[-BARS:], values, strict=True))
        ]
        figure = sum(values) if unit == TODAY else values[-1] if values else 0
        peak = max(bars, key=lambda bar: bar.value, default=None)
        return cls(label, figure, unit, bars, peak if most else None)


TODAY: Final = "in 24 h"
NOW: Final = "now"


def charts_of(traffic: TrafficReply) -> Sequence[Chart]:
    """Return the charts of the first page."""
    return (
        Chart.of("Messages", TODAY, traffic.points, lambda point: point.messages),
        Chart.of("Devices connected", NOW, traffic.points, lambda point: point.devices),
        Chart.of("Refusals", TODAY, traffic.points, lambda point: point.refused),
    )
