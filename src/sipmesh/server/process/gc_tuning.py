"""Python's garbage collector for cycles, tuned so that it does not delay messages.

Reference counts free all that a message allocates: no code on the way of a message makes a cycle (a test checks this). The
collector would still walk through all remembered transactions, tens of thousands of calls for half a minute each, again and
again. That would cost a third of the processor time, and pauses of tenths of a second. So the objects of the start are excluded
for ever. Young objects are collected as usual, and all objects when the server is not busy. What survives its first collection
is in most cases a transaction or a cached row: a second collection would need as much time, and find no cycle either.
"""

from __future__ import annotations

import gc

YOUNG = 10_000
"""New objects after which the youngest generation is collected; a pause of less than a millisecond."""

NEVER = 1_000_000_000
QUIET_EVERY_S = 300.0
BUSY_EVERY_S = 3_600.0


class GcTuning:
    """Decides when all generations are collected; times are loop times in seconds."""

    def __init__(self, now: float) -> None:
        self._looked_at = now

    def __repr__(self) -> str:
        return f"<Collector, last at {self._looked_at:.0f} s>"

    def begin(self) -> None:
        """Exclude the objects that exist now; a process calls this once, after its server has started."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, NEVER, NEVER)

    def tick(self, now: float, *, busy: bool) -> None:
        """Collect all generations if it is time: every five minutes if not *busy*, and at least once an hour."""
        if now - self._looked_at >= (BUSY_EVERY_S if busy else QUIET_EVERY_S):
            self._looked_at = now
            gc.collect()
