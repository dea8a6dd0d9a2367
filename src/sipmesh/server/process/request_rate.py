"""How many requests one address may make in a minute, or in another time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

WINDOW_S: Final = 60.0
MOST_ADDRESSES: Final = 10_000


class RequestRate:
    """At most *most* requests of one address in each window of *window_s*; *clock* returns seconds that never go back.

    A window lasts `WINDOW_S` by default.

    The table has at most `MOST_ADDRESSES` addresses; with more, all wait for the next window.
    """

    def __init__(self, most: int, clock: Callable[[], float], window_s: float | None = None) -> None:
        self._most, self._clock, self._window_s = most, clock, WINDOW_S if window_s is None else window_s
        self._window, self._counts = 0.0, dict[str, int]()

    def admits(self, address: str) -> bool:
        """Count a request of *address*, and tell whether it may be served."""
        count = self._count(address)
        if count >= self._most or (address not in self._counts and len(self._counts) >= MOST_ADDRESSES):
            return False
        self._counts[address] = count + 1
        return True

    def give_back(self, address: str) -> None:
        """Count one request of *address* less, if it has one in this window."""
        count = self._count(address)
        if count > 1:
            self._counts[address] = count - 1
        else:
            self._counts.pop(address, None)

    def is_spent(self, address: str) -> bool:
        """Tell whether *address* has no request left in this window."""
        return self._count(address) >= self._most

    def _count(self, address: str) -> int:
        window = self._clock() // self._window_s
        if window != self._window:
            self._window, self._counts = window, {}
        return self._counts.get(address, 0)
