"""Writes that wait for the store, in their order; what was sent and not acknowledged is sent again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipmesh.storage.location_service.locations import StoreHealth, Write, WriteResult

MOST_IN_FLIGHT: Final = 200
"""Writes that are sent at a time: the store makes them in a few milliseconds, in which it serves no other client."""


class WriteQueue:
    """The writes of one server, counted in *health*. Between them may be a mark, at which all rows before it are stored."""

    __slots__ = ("_health", "_waiting", "in_flight")

    def __init__(self, health: StoreHealth) -> None:
        self._health = health
        self._waiting: deque[Write | None] = deque()
        self.in_flight: list[Write] = []

    def __len__(self) -> int:
        return len(self._waiting) + len(self.in_flight)

    def add(self, write: Write) -> None:
        """Queue one write."""
        self._health.waiting += 1
        self._waiting.append(write)

    def mark(self) -> None:
        """Put a mark behind all writes that wait."""
        self._waiting.append(None)

    def take_mark(self) -> bool:
        """Take the mark, if every write before it was made."""
        if self.in_flight or not self._waiting or self._waiting[0] is not None:
            return False
        self._waiting.popleft()
        return True

    def next_batch(self) -> Sequence[Write]:
        """Take the next writes, if none is in flight; they stop at a mark."""
        if not self.in_flight:
            while self._waiting and len(self.in_flight) < MOST_IN_FLIGHT:
                write = self._waiting[0]
                if write is None:
                    break
                self._waiting.popleft()
                if write.withdrawn:
                    self.end(write, None)
                else:
                    self.in_flight.append(write)
        return self.in_flight

    def made(self, write: Write) -> None:
        """Take note that a write was made; `end` tells who asked."""
        if write in self.in_flight:
            self.in_flight.remove(write)
        else:
            self._waiting.remove(write)

    def send_again(self) -> None:
        """Put what is in flight back to the front: its replies were errors, or were lost."""
        self._waiting.extendleft(reversed(self.in_flight))
        self.in_flight = []

    def forget_marks(self) -> None:
        """Remove the marks: what the store had is lost again."""
        self._waiting = deque(write for write in self._waiting if write is not None)

    def withdraw(self) -> None:
        """Discard the writes that no caller needs any more, while nothing can be sent."""
        if any(write is not None and write.withdrawn for write in self._waiting):
            waiting, self._waiting = self._waiting, deque()
            for write in waiting:
                if write is not None and write.withdrawn:
                    self.end(write, None)
                else:
                    self._waiting.append(write)

    def end(self, write: Write, result: WriteResult | None) -> None:
        """Tell who asked for a write what has become of it."""
        self._health.waiting -= 1
        write.done(result)
