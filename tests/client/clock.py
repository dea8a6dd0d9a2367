"""An event loop whose time is its own: where nothing is ready it jumps to the next timer instead of waiting for it."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class JumpingLoop(asyncio.SelectorEventLoop):
    """Half a minute of timers takes no time here, and always the same course."""

    def __init__(self) -> None:
        self.now = 0.0
        self.threads: list[Callable[[], object]] = []
        """Each tells whether a thread is at work for the loop: its result is waited for, and no time passes."""
        super().__init__(JumpingSelector(self))

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.now


class JumpingSelector(selectors.DefaultSelector):
    """Never waits: it lets the loop's time pass instead."""

    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        """Tell what is ready now; where nothing is, *timeout* seconds have passed."""
        is_awaited = any(works() for works in self._loop.threads)
        found = super().select(timeout if is_awaited else 0)
        if not found and timeout and not is_awaited:
            self._loop.now += timeout
        return found
