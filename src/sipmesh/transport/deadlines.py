"""One heap of deadlines for all links: no timer and no task per link."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Timed(Protocol):
    """Something with at most one alarm; *alarm* is the loop time it is set for, 0.0 for none."""

    alarm: float

    def due(self, now: float) -> None:
        """The alarm has come: act, or set it again."""

    def broken(self, error: Exception) -> None:
        """End after a fault of ours."""


class Deadlines:
    """Alarms by loop time in seconds.

    An alarm that was moved to an earlier time leaves its old entry behind; it is recognised by its time and dropped.
    Activity on a link never touches the heap: the link looks at its clock when the alarm comes, and sets it again.
    """

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._order = 0

    def __repr__(self) -> str:
        return f"<Deadlines {len(self._heap)} set>"

    def set(self, timed: Timed, when: float) -> None:
        """Wake *timed* at *when*, unless it is to be woken earlier anyway."""
        if timed.alarm and timed.alarm <= when:
            return
        timed.alarm = when
        self._order += 1
        heappush(self._heap, (when, self._order, timed))

    def earliest(self) -> float | None:
        """Tell when :meth:`due` next gives something."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[Timed]:
        """Take everything that is due at *now*; what sets its alarm to *now* again meanwhile is not taken twice."""
        heap, newest = self._heap, self._order
        while heap and heap[0][0] <= now and heap[0][1] <= newest:
            when, _, timed = heappop(heap)
            if timed.alarm == when:
                timed.alarm = 0.0
                yield timed
