"""How long the turns of the event loop take: while one turn runs, every other message and timer waits."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

SHORT_S: Final = 0.001
"""Almost every turn is shorter: then two additions are all that is done."""

BOUNDS: Final[tuple[float, ...]] = (SHORT_S, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds in seconds; 20 ms is what is promised (docs/reliability.md)."""


class TurnMeter:
    """A histogram of turns, and the longest one since it was asked for last."""

    __slots__ = ("_longer", "longest", "total", "turns")

    def __init__(self) -> None:
        self.turns = 0
        self.total = 0.0
        self.longest = 0.0
        self._longer = [0] * len(BOUNDS)

    def ended(self, seconds: float) -> None:
        """Count one turn, which has taken *seconds*."""
        self.turns += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)
        if seconds > SHORT_S:
            self._longer[bisect_left(BOUNDS, seconds) - 1] += 1

    def take_longest(self) -> float:
        """Return the longest turn since the last call, in seconds."""
        longest, self.longest = self.longest, 0.0
        return longest

    def up_to(self) -> list[tuple[float, int]]:
        """Return (bound, number of turns that took at most so long); the last bound is infinity, with all turns."""
        found, longer = [], sum(self._longer)
        for bound, count in zip(BOUNDS, self._longer, strict=True):
            found.append((bound, self.turns - longer))
            longer -= count
        return [*found, (float("inf"), self.turns)]
