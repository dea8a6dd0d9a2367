"""Whose turn it is: each operator does one thing at a time, since the operators share one thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class OperatorTurns:
    """Lets each operator do one thing at a time. *rest* waits for so many seconds of *clock*."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock, self._rest = clock, rest
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._rested_at: dict[str, float] = {}

    def of(self, operator: str) -> asyncio.Lock:
        """Return the lock of *operator*."""
        return self._turns.setdefault(operator, asyncio.Lock())

    @asynccontextmanager
    async def with_rest(self, operator: str) -> AsyncIterator[None]:
        """Wait until *operator* may do the block, and rest after it as long as it took, before the next block.

        So the other operators have half of the thread at least, and wait for one block of each.
        """
        async with self.of(operator):
            await self._rest(max(0.0, self._rested_at.get(operator, 0.0) - self._clock()))
            began = self._clock()
            try:
                yield
            finally:
                self._rests(operator, began, self._clock())

    def _rests(self, operator: str, began: float, now: float) -> None:
        still = {name: at for name, at in self._rested_at.items() if at > now}
        self._rested_at = {**still, operator: now + (now - began)}
