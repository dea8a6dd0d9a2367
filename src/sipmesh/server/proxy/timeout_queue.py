"""Deadlines of equal length: the oldest is always first, so nothing has to be sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Held = TypeVar("Held")


class TimeoutQueue(Generic[Held]):
    """Gives each item back once it was in the queue for *seconds*; adding an item again restarts its time."""

    __slots__ = ("_expired", "_held", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._held: dict[Held, float] = {}
        self._expired: list[Held] = []  # found by one look at the queue, the oldest last

    def __repr__(self) -> str:
        return f"<TimeoutQueue {self.seconds} s holding {len(self._held)}>"

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, thing: Held) -> bool:
        return thing in self._held

    def __iter__(self) -> Iterator[Held]:
        return iter(self._held)

    def add(self, thing: Held, now: float) -> None:
        """Add *thing* at loop time *now*, in seconds."""
        self.discard(thing)  # so that it moves to the end of the queue
        self.put(thing, now)

    def put(self, thing: Held, now: float) -> None:
        """Add *thing*, which is not in the queue, at loop time *now*."""
        self._held[thing] = now + self.seconds

    def discard(self, thing: Held) -> None:
        """Remove *thing*, if it is in the queue."""
        if thing in self._held:
            del self._held[thing]

    def pop_expired(self, now: float) -> Held | None:
        """Remove and return the oldest item whose time is over at loop time *now*; None if there is none.

        The handler of an item may add and discard others before the next call.
        """
        if not self._expired:
            self._expired = self._all_expired(now)
        while self._expired:
            thing = self._expired.pop()
            ends = self._held.get(thing)
            if ends is not None and ends <= now:  # otherwise it was discarded or added again since
                del self._held[thing]
                return thing
        return None

    def _all_expired(self, now: float) -> list[Held]:
        """Look at the queue once for all that has expired: a dict is slow to find its first item after many were deleted."""
        found: list[Held] = []
        for thing, ends in self._held.items():
            if ends > now:
                break
            found.append(thing)
        found.reverse()
        return found
