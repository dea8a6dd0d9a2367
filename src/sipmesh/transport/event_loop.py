"""The event loop of a server: asyncio's own, which sleeps where the links are.

Nested the other way round, with the epoll of the links watched by the loop's, every wake-up goes through both and through the
loop's own turn before a link is served. Here the loop's selector is one more descriptor in the epoll of the links: a message
costs one ``epoll_wait``, and asyncio has its turn when it has something to do.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import TYPE_CHECKING, Protocol, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Host(Protocol):
    """Who waits in place of the loop, and serves its own descriptors meanwhile."""

    def wait(self, timeout: float | None) -> bool:
        """Wait for at most *timeout* seconds, or without end.

        True if a descriptor of the loop is ready; False if the time is up, or :meth:`rouse` was called meanwhile.
        """

    def rouse(self) -> None:
        """Let a :meth:`wait` that goes on return after what it is about: the loop has something to do."""


class Bed(selectors.EpollSelector):
    """The selector of the loop: where there is a host, the loop waits there."""

    host: Host | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Tell which descriptors of the loop are ready, as every selector does."""
        if self.host is None:
            return super().select(timeout)
        return super().select(0) if self.host.wait(timeout) else []


class Loop(asyncio.SelectorEventLoop):
    """The first reactor that is made on it becomes its host; others are watched as any descriptor is."""

    time = staticmethod(time.monotonic)  # the same clock, without a frame for each look at it

    def __init__(self) -> None:
        self._bed = Bed()
        super().__init__(self._bed)

    def lodge(self, host: Host) -> int | None:
        """Wait in *host* from now on, and give the descriptor that it has to watch; None if there is a host already."""
        if self._bed.host is not None:
            return None
        self._bed.host = host
        return self._bed.fileno()

    def leave(self, host: Host) -> None:
        """Wait alone again, if it was in *host*."""
        if self._bed.host is host:
            self._bed.host = None

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See :meth:`asyncio.loop.call_soon`; a host that waits returns for it."""
        if self._bed.host is not None:
            self._bed.host.rouse()
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See :meth:`asyncio.loop.call_at`; a host that waits returns, since it may have waited for a later time."""
        if self._bed.host is not None:
            self._bed.host.rouse()
        return super().call_at(when, callback, *args, context=context)


def run(main: Coroutine[object, object, T]) -> T:
    """Run *main* to its end, as ``asyncio.run`` does."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)
