"""Python's collector of cycles, kept off the way of messages.

What a message leaves behind is freed by its reference counts: nothing that serves one makes a cycle (a test holds that). The
collector would walk through every transaction that is remembered, tens of thousands of calls for half a minute each, again and
again while they wait: a third of the processor's time and pauses of tenths of a second, for nothing. So what was there at the
start is left out for good, only young objects are looked at as usual, and all of them when nobody is waiting.
"""

from __future__ import annotations

import gc

YOUNG = 10_000
"""New objects after which those are looked through; a pause of less than a millisecond."""

MIDDLE = 10
"""After so many of those looks, what survived them is looked at once more, and then no longer."""

NEVER = 1_000_000_000
QUIET_EVERY_S = 300.0
BUSY_EVERY_S = 3_600.0


class GcTuning:
    """Decides when everything is looked through; times are loop times in seconds."""

    def __init__(self, now: float) -> None:
        self._looked_at = now

    def __repr__(self) -> str:
        return f"<Collector, last at {self._looked_at:.0f} s>"

    def begin(self) -> None:
        """Leave out what is there now; a process does this once, when its server has started."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, MIDDLE, NEVER)

    def tick(self, now: float, *, busy: bool) -> None:
        """Look through everything if it is time: every five minutes when nobody waits, at least once an hour."""
        if now - self._looked_at >= (BUSY_EVERY_S if busy else QUIET_EVERY_S):
            self._looked_at = now
            gc.collect()
