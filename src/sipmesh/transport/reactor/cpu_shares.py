"""Which principals have had most of the CPU time lately: where others wait, they are served last."""

from __future__ import annotations

from math import log, log2
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipmesh.routing.overload import Demand

CHARGED_S: Final = 0.005
"""What is served in less time is not charged: that is nearly everything, and no principal waits long for it."""

HEAVY_S: Final = 0.1
"""CPU time of one principal, up to which it is served in its turn. Half of it is forgotten each second."""

FORGOTTEN: Final = log(2)
"""What is forgotten of a second, in each second."""


class CpuShares:
    """The CPU time of each principal, in its `Demand`, and of all; each second half of it is forgotten. Times are in seconds.

    *total_s* is that of all, when the last was charged. It includes what is charged to none: a server whose many messages are
    charged together has not had all of the time. *heavy_until* is the time from which on no principal has more than `HEAVY_S`, if
    none is charged meanwhile: until then it is worth to ask `is_heavy`.
    """

    __slots__ = ("_at", "_turns_s", "heavy_until", "total_s")

    def __init__(self) -> None:
        self.total_s = self._at = self._turns_s = self.heavy_until = 0.0

    def charge(self, demand: Demand | None, used_s: float, now: float, turns_s: float = 0.0) -> None:
        """Count *used_s* for the principal with that *demand*, None for this server.

        *turns_s* is what all turns before this one have taken, since the start.
        """
        passed_s = now - self._at
        others_s = as_if_even(turns_s - self._turns_s, passed_s)
        self.total_s = remembered(self.total_s, passed_s) + max(used_s, others_s)
        self._at, self._turns_s = now, turns_s
        if demand is not None:
            demand.cpu_s = remembered(demand.cpu_s, now - demand.cpu_at) + used_s
            demand.cpu_at = now
            if demand.cpu_s > HEAVY_S:
                self.heavy_until = max(self.heavy_until, now + log2(demand.cpu_s / HEAVY_S))

    def is_heavy(self, demand: Demand | None, now: float) -> bool:
        """Tell whether a principal is served last."""
        if demand is None or demand.cpu_s <= HEAVY_S:
            return False
        had_s = remembered(demand.cpu_s, now - demand.cpu_at)
        return had_s > HEAVY_S and had_s * demand.parts > remembered(self.total_s, now - self._at)


def remembered(used_s: float, passed_s: float) -> float:
    """Give what is left of *used_s* after *passed_s*."""
    return float(used_s * 0.5**passed_s)


def as_if_even(used_s: float, passed_s: float) -> float:
    """Give what is left of *used_s* that was used evenly over the last *passed_s*."""
    return used_s / passed_s * (1.0 - remembered(1.0, passed_s)) / FORGOTTEN if passed_s > 0 else used_s
