"""The traffic of the last day: what servers have counted, from their status reports, in a bounded ring of intervals.

The ring is in memory. It begins when this server begins to lead, and ends with its process. A server reports what it has counted
since its start, so a lost report loses no count. A server can report any number about itself, and none about others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sipmesh.server.management.replies import TrafficPoint, TrafficReply
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sipmesh.server.replication.server_status import ServerStatus

WIDTH: Final = timedelta(minutes=15)
INTERVALS: Final = 96
"""Intervals of the ring: a day."""

MOST_CAUSES: Final = 64
OTHER: Final = "other"
"""What counts refusals by further causes, if servers report more than `MOST_CAUSES` in one interval."""


@dataclass(slots=True)
class _Interval:
    messages: int = 0
    devices: int = 0
    refusals: Counter[str] = field(default_factory=Counter)

    def refused(self, grown: Mapping[str, int]) -> None:
        for cause, count in grown.items():
            known = cause in self.refusals or len(self.refusals) < MOST_CAUSES
            self.refusals[cause if known else OTHER] += count


class TrafficRing:
    """Adds up what servers report, by the time at which the report was received."""

    def __init__(self, begun: datetime) -> None:
        self._begun = begun
        self._intervals: dict[int, _Interval] = {}
        self._last: dict[str, ServerStatus] = {}
        self._devices = 0

    def saw(self, server: str, status: ServerStatus, at: datetime) -> None:
        """Add what *server* has counted since its report before; the first report of a server only begins the count.

        What a server has counted before a restart, and not reported, is lost.
        """
        before, self._last[server] = self._last.get(server), status
        interval = self._interval(at)
        self._devices += _devices(status) - _devices(before)
        interval.devices = max(interval.devices, self._devices)
        if before is None:
            return
        is_new = before.started_at != status.started_at
        earlier = Counter[str]() if is_new else Counter(before.refusals)
        interval.messages += max(status.messages - (0 if is_new else before.messages), 0)
        interval.refused(Counter(status.refusals) - earlier)

    def keep(self, servers: Collection[str]) -> None:
        """Forget the last reports of other servers."""
        self._last = {name: status for name, status in self._last.items() if name in servers}
        self._devices = sum(map(_devices, self._last.values()))

    def _interval(self, at: datetime) -> _Interval:
        """Return the interval of *at*, and forget those that are not of the day before it: a clock may have jumped."""
        number = int(at.timestamp() // WIDTH.total_seconds())
        if number not in self._intervals:
            self._intervals = {
                one: known for one, known in self._intervals.items() if number - INTERVALS < one < number
            }
            self._intervals[number] = _Interval()
        return self._intervals[number]

    def reply(self, at: datetime) -> TrafficReply:
        """Return the intervals of the day before *at*, the oldest first, without those before the ring began."""
        width_s = WIDTH.total_seconds()
        newest = int(at.timestamp() // width_s)
        first = max(newest - INTERVALS + 1, int(self._begun.timestamp() // width_s))
        points, causes = [], Counter[str]()
        for number in range(first, newest + 1):
            one = self._intervals.get(number, _Interval())
            causes.update(one.refusals)
            begins = datetime.fromtimestamp(number * width_s, UTC)
            points.append(TrafficPoint(begins, one.messages, one.devices, one.refusals.total()))
        return TrafficReply(int(width_s), self._begun, points, dict(causes.most_common()))


def _devices(status: ServerStatus | None) -> int:
    return status.links.get(LinkKind.CLIENT, 0) if status is not None else 0
