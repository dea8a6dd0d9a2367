"""An event loop with its own time: if nothing is ready, it jumps to the next timer instead of waiting."""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from math import inf
from time import monotonic
from typing import Any, TypeVar, TypeVarTuple

ON_THE_WAY_S = 0.02
"""How long the kernel may take to pass on what was written to loopback, in real seconds."""

LEAST_WAIT_S = 0.001
"""The shortest wait of epoll. Shorter waits add up, so that ten timers within some milliseconds wait once."""


T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class JumpingLoop(asyncio.SelectorEventLoop):
    """Half a minute of timers takes no time here, and runs in the same order each time.

    After *patience_s* real seconds `TimeoutError` is raised, once.
    """

    def __init__(self, patience_s: float = inf) -> None:
        self.now = 0.0
        self._ends = monotonic() + patience_s
        self.threads: list[Callable[[], object]] = []
        """Each tells whether a thread is at work for the loop: its result is waited for, and no time passes."""
        super().__init__(JumpingSelector(self))

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run *func* in a thread; no time passes until it is done."""
        future = super().run_in_executor(executor, func, *args)
        works = partial(_is_not_done, future)
        self.threads.append(works)
        future.add_done_callback(lambda _: self.threads.remove(works))
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - of asyncio
        """End the threads of the executor, without a bound: the loop would jump to it at once."""
        await super().shutdown_default_executor()

    def time(self) -> float:
        """Return the seconds since the loop was created."""
        return self.now

    def check_patience(self) -> None:
        """Raise TimeoutError if too much real time has passed."""
        if monotonic() > self._ends:
            self._ends = inf
            raise TimeoutError(f"not done in real time; the loop's time is {self.now:.0f} s")


def _is_not_done(future: asyncio.Future[Any]) -> bool:
    return not future.done()


class JumpingSelector(selectors.DefaultSelector):
    """Never waits: it advances the loop's time instead."""

    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop
        self._wait_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return what is ready now; if nothing is, and no thread works, *timeout* seconds have passed."""
        self._loop.check_patience()
        is_awaited = any(works() for works in self._loop.threads)
        found = super().select(timeout if is_awaited else 0)
        if not found and timeout and not is_awaited and self._wait_s >= LEAST_WAIT_S:
            # On a busy machine the kernel may not have passed on yet what was just written to loopback.
            found, self._wait_s = super().select(self._wait_s), 0.0
        if found:
            self._wait_s = ON_THE_WAY_S
        elif timeout and not is_awaited:
            self._loop.now += timeout
            self._wait_s = min(ON_THE_WAY_S, self._wait_s + timeout / 500)
        return found
