"""Deadlines of different length: each thing is in the bucket of the second in which it is due."""

from __future__ import annotations

from math import ceil
from typing import Generic, TypeVar

Held = TypeVar("Held")


class DueTimes(Generic[Held]):
    """Things with the time at which each is due, in seconds of one clock. Each thing is in it once."""

    __slots__ = ("_buckets", "_second_of", "_swept")

    def __init__(self) -> None:
        self._buckets: dict[int, dict[Held, None]] = {}
        self._second_of: dict[Held, int] = {}
        self._swept = 0

    def __len__(self) -> int:
        return len(self._second_of)

    def put(self, thing: Held, at: float) -> None:
        """Have *thing* due *at*, and at no other time."""
        self.discard(thing)
        second = max(ceil(at), self._swept)
        self._second_of[thing] = second
        self._buckets.setdefault(second, {})[thing] = None

    def advance(self, thing: Held, at: float) -> None:
        """Have *thing*, which is here, due *at* if that is earlier."""
        if ceil(at) < self._second_of[thing]:
            self.put(thing, at)

    def discard(self, thing: Held) -> None:
        """Remove *thing*, if it is there."""
        second = self._second_of.pop(thing, None)
        if second is None:
            return
        bucket = self._buckets[second]
        del bucket[thing]
        if not bucket:
            del self._buckets[second]

    def due(self, now: float) -> list[Held]:
        """Remove and give what is due by *now*, at most a second after its time."""
        found: list[Held] = []
        if not self._swept:
            self._swept = min(self._buckets, default=int(now))
        while self._swept <= now:
            for thing in self._buckets.pop(self._swept, {}):
                del self._second_of[thing]
                found.append(thing)
            self._swept += 1
        return found
