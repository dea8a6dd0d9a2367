"""Deadlines of equal length: the oldest is always first, so nothing has to be sorted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Held = TypeVar("Held")


class TimeoutQueue(Generic[Held]):
    """Calls *expired* for each item that was in the queue for *seconds*; adding an item again restarts its time."""

    __slots__ = ("_expired", "_held", "seconds")

    def __init__(self, seconds: float, expired: Callable[[Held], None]) -> None:
        self.seconds, self._expired = seconds, expired
        self._held: dict[Held, float] = {}

    def __repr__(self) -> str:
        return f"<TimeoutQueue {self.seconds} s holding {len(self._held)}>"

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, thing: Held) -> bool:
        return thing in self._held

    def add(self, thing: Held, now: float) -> None:
        """Add *thing* at loop time *now*, in seconds."""
        self.discard(thing)  # so that it moves to the end of the queue
        self._held[thing] = now + self.seconds

    def discard(self, thing: Held) -> None:
        """Remove *thing*, if it is in the queue."""
        if thing in self._held:
            del self._held[thing]

    def sweep(self, now: float) -> None:
        """Remove all items whose time is over, and call *expired* for each, oldest first."""
        while self._held:
            thing = next(iter(self._held))
            if self._held[thing] > now:
                return
            del self._held[thing]
            self._expired(thing)
