"""Python's garbage collector for cycles, tuned so that it does not delay messages.

Reference counts free all that a message allocates: no code on the way of a message makes a cycle (a test checks this). The
collector would still walk through all remembered transactions, tens of thousands of calls for half a minute each, again and
again. That would cost a third of the processor time, and pauses of tenths of a second. So the objects of the start are excluded
for ever. Young objects are collected as usual, and all objects when the server is not busy. What survives its first collection
is in most cases a transaction or a cached row: a second collection would need as much time, and find no cycle either.

While collections of young objects find next to nothing, most of them are left out: one in `SAMPLE` still looks. The objects of
the others are excluded until all generations are collected.

To collect all generations takes half a second where ten thousand phones are logged in, and no client is served meanwhile. So it
is done less and less often while it finds next to nothing.
"""

from __future__ import annotations

import gc
from typing import Literal

YOUNG = 2_000
"""New objects after which the youngest generation is collected: a pause of less than a millisecond. With 10,000, it took 2 to 12
milliseconds under a load of calls, since what the objects refer to is visited too."""

NEVER = 1_000_000_000
QUIET_EVERY_S = 300.0
"""Until all generations are collected where the server is not busy; twice as long after each time that has found little."""

BUSY_TIMES = 12
"""A busy server waits so many times as long."""

LONGEST_EVERY_S = 86_400.0
LITTLE = 1_000
"""A collection of all generations that frees at most this many objects has found little: they are less than a MiB."""

MOST_MISSED = 10_000
"""Garbage that the collections which were left out may have missed, as the samples let expect: then all are collected soon."""

SAMPLE = 8
"""One collection of young objects in so many looks at them, while there is nothing to find."""
NEXT_TO_NOTHING = 8
"""Objects that a collection frees at most for the next objects to be left out: so many in `YOUNG` may wait for an hour."""


class GcTuning:
    """Decides when all generations are collected, and which collections of young objects are left out.

    Times are loop times in seconds.
    """

    def __init__(self, now: float) -> None:
        self._looked_at = now
        self._every_s = QUIET_EVERY_S
        self._left_out = self._to_leave_out = self._missed = 0

    def begin(self) -> None:
        """Exclude the objects that exist now; a process calls this once, after its server has started."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, NEVER, NEVER)
        gc.callbacks.append(self._collecting)

    def end(self) -> None:
        """Leave no further collection out."""
        gc.callbacks.remove(self._collecting)

    def tick(self, now: float, *, busy: bool) -> None:
        """Collect all generations if it is time: later if *busy*, and later if there was little to find, but once a day."""
        every_s = QUIET_EVERY_S if self._missed > MOST_MISSED else self._every_s
        if now - self._looked_at >= min(every_s * (BUSY_TIMES if busy else 1), LONGEST_EVERY_S):
            self._looked_at = now
            found = self._collect_all()
            self._every_s = min(2 * self._every_s, LONGEST_EVERY_S) if found <= LITTLE else QUIET_EVERY_S

    def _collect_all(self) -> int:
        """Collect all generations, with what was excluded since the start; return how many objects were garbage."""
        if not self._left_out:
            return gc.collect()
        self._left_out = self._to_leave_out = self._missed = 0
        gc.unfreeze()
        found = gc.collect()
        gc.freeze()
        return found

    def _collecting(self, phase: Literal["start", "stop"], info: dict[str, int]) -> None:
        """Python calls this before and after each collection. It has nothing to look at if it is to be left out."""
        if info["generation"] != 0:
            return
        if phase == "start":
            if self._to_leave_out:
                gc.freeze()
        elif self._to_leave_out:
            self._to_leave_out -= 1
            self._left_out += 1
        elif (found := info["collected"] + info["uncollectable"]) <= NEXT_TO_NOTHING:
            self._to_leave_out = SAMPLE - 1
            self._missed += found * self._to_leave_out
