"""Whose turn it is to change the draft: the operators share one thread for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class EditTurns:
    """Lets each operator make one change at a time, and the next one after a rest that is as long as that change took.

    So the other operators have half of the thread at least, and wait for one change of each. *rest* waits for so many seconds of
    *clock*.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock, self._rest = clock, rest
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._rested_at: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<EditTurns of {len(self._turns)} operators>"

    @asynccontextmanager
    async def of(self, operator: str) -> AsyncIterator[None]:
        """Wait until *operator* may make a change, which is the block."""
        turn = self._turns.setdefault(operator, asyncio.Lock())
        async with turn:
            await self._rest(max(0.0, self._rested_at.get(operator, 0.0) - self._clock()))
            began = self._clock()
            try:
                yield
            finally:
                self._rests(operator, began, self._clock())

    def _rests(self, operator: str, began: float, now: float) -> None:
        still = {name: at for name, at in self._rested_at.items() if at > now}
        self._rested_at = {**still, operator: now + (now - began)}
