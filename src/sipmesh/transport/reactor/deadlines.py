"""One heap of deadlines for all links: no timer and no task per link."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Timed(Protocol):
    """Something with at most one alarm; *alarm* is its loop time in seconds, 0.0 if no alarm is set."""

    alarm: float

    def due(self, now: float) -> None:
        """Act on the alarm, or set it again."""

    def broken(self, error: Exception) -> None:
        """End after a bug of ours."""


class Deadlines:
    """Alarms by loop time in seconds.

    An alarm that moves to an earlier time leaves its old entry in the heap. ``due`` recognises the old entry by its time,
    and drops it. Activity on a link does not change the heap: at its alarm the link checks the time, and sets the alarm again.
    """

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._order = 0

    def set(self, timed: Timed, when: float) -> None:
        """Wake *timed* at *when*, unless its alarm is earlier than *when* already."""
        if timed.alarm and timed.alarm <= when:
            return
        timed.alarm = when
        self._order += 1
        heappush(self._heap, (when, self._order, timed))

    def earliest(self) -> float | None:
        """Return the loop time of the earliest alarm; None if no alarm is set."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[Timed]:
        """Yield everything that is due at *now*; an alarm that is set to *now* again meanwhile is left for the next call."""
        heap, newest = self._heap, self._order
        while heap and heap[0][0] <= now and heap[0][1] <= newest:
            when, _, timed = heappop(heap)
            if timed.alarm == when:
                timed.alarm = 0.0
                yield timed
