"""How much of each server is read in reports: a stolen server may send any number of them, of up to a megabyte each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PERIOD_S: Final = 10.0
MOST_OCTETS: Final = 4 << 20
"""Octets of one server in one period. A server reports every 10 s and after changes, in some kilobytes."""

LEAST_OCTETS: Final = 2_048
"""What a shorter report counts for. It takes a third of a millisecond of the loop: 70 ms a second for all that are read."""

FLOOD: Final = 2
"""How many times as much closes the link: a refusal takes time too. The link is dialled again after a pause."""


class ReportBudget:
    """Counts the octets of each server in fixed periods; *time* gives the seconds of a monotonic clock."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._ends = time() + PERIOD_S
        self._octets: dict[str, int] = {}

    def admits(self, server: str, octets: int = 0) -> bool:
        """Count one report; False if the server has sent too much in this period."""
        now = self._time()
        if now >= self._ends:
            self._ends, self._octets = now + PERIOD_S, {}
        counted = self._octets.get(server, 0) + max(octets, LEAST_OCTETS)
        self._octets[server] = counted
        return counted <= MOST_OCTETS

    def is_flood(self, server: str) -> bool:
        """Tell whether the server goes on although its reports are refused."""
        return self._octets.get(server, 0) > FLOOD * MOST_OCTETS
