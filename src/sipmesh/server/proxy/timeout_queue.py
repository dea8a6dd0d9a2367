"""Deadlines of equal length: the oldest is always first, so nothing has to be sorted."""

from __future__ import annotations

from typing import Generic, TypeVar

Held = TypeVar("Held")


class TimeoutQueue(Generic[Held]):
    """Gives each item back once it was in the queue for *seconds*; adding an item again restarts its time."""

    __slots__ = ("_held", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
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

    def pop_expired(self, now: float) -> Held | None:
        """Remove and return the oldest item whose time is over at loop time *now*; None if there is none.

        Whoever handles an item may add and discard others before the next call.
        """
        if not self._held:
            return None
        thing = next(iter(self._held))
        if self._held[thing] > now:
            return None
        del self._held[thing]
        return thing
