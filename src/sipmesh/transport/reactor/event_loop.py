"""The event loop of a server: asyncio's own, but it waits in the epoll of the links.

The loop's selector is one more descriptor in the epoll of the links. So a message costs one ``epoll_wait``, and asyncio runs
only when it has something to do. The other order, the epoll of the links inside the loop's selector, would cost more. There each
wake-up would pass through both, and through a turn of the loop, before a link is served.
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
    """The reactor: it waits in place of the loop, and serves its own descriptors meanwhile."""

    def wait(self, timeout: float | None) -> bool:
        """Wait for at most *timeout* seconds; None waits without a limit.

        True: a descriptor of the loop is ready. False: the time is up, or :meth:`wake` was called meanwhile.
        """

    def wake(self) -> None:
        """Make the current :meth:`wait` return after its turn, because the loop has something to do."""


class Bed(selectors.EpollSelector):
    """The selector of the loop; with a host, the loop waits in the host."""

    host: Host | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the descriptors of the loop that are ready, as every selector does."""
        if self.host is None:
            return super().select(timeout)
        return super().select(0) if self.host.wait(timeout) else []


class Loop(asyncio.SelectorEventLoop):
    """The first reactor on this loop becomes its host. The loop watches other reactors like any descriptor."""

    time = staticmethod(time.monotonic)  # the same clock, without a Python frame for each call

    def __init__(self) -> None:
        self._bed = Bed()
        super().__init__(self._bed)

    def wait_in(self, host: Host) -> int | None:
        """Wait in *host* from now on; return the descriptor that *host* has to watch, or None if there is a host already."""
        if self._bed.host is not None:
            return None
        self._bed.host = host
        return self._bed.fileno()

    def leave(self, host: Host) -> None:
        """Stop waiting in *host*; do nothing if another host is set."""
        if self._bed.host is host:
            self._bed.host = None

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See :meth:`asyncio.loop.call_soon`; a waiting host returns to run *callback*."""
        if self._bed.host is not None:
            self._bed.host.wake()
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See :meth:`asyncio.loop.call_at`; a waiting host returns, because *when* may be earlier than its timeout."""
        if self._bed.host is not None:
            self._bed.host.wake()
        return super().call_at(when, callback, *args, context=context)


def run(main: Coroutine[object, object, T]) -> T:
    """Run *main* to its end, as ``asyncio.run`` does."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)
