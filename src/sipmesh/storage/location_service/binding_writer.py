"""The thread that writes bindings: its queue, its batches, its lease, and what it does while the file cannot be written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError, OperatorError
from sipmesh.storage.location_service.lease_watch import RENEW_EVERY_S, LeaseWatch
from sipmesh.storage.location_service.locations import StoreEvents, StoreHealth, Write, WriteResult

if TYPE_CHECKING:
    from sipmesh.storage.location_service.bindings import BindingStore
    from sipmesh.storage.store_thread import Post

MOST_IN_BATCH: Final = 500
"""Writes in one transaction: they take some milliseconds, for which the other servers of the pool wait."""

GATHER_S: Final = 0.005
"""How long the writer lets writes come together: to wake a thread for each of them costs more than to store it."""

TRY_AGAIN_S: Final = (0.05, 0.25, 0.5, 1.0, 2.0)
"""How long the writer waits after each failure in a row; the last one counts for all that follow."""

TOLD_AFTER_S: Final = 2.0
"""A store that fails for longer is reported; another process may lock the file for a moment."""

Results = Sequence[tuple[Write, WriteResult | None]]


class BindingWriter:
    """Writes for one incarnation of one server, in `run`; *finished* is called in its thread with the results.

    *clock* gives seconds and is never set. A failure loses nothing: the writes stay queued until they are made or withdrawn.
    """

    def __init__(self, store: BindingStore, finished: Callable[[Results], None], clock: Callable[[], float]) -> None:
        self._store, self._finished, self._clock = store, finished, clock
        self._queue: SimpleQueue[Write | None] = SimpleQueue()
        self._waiting: list[Write] = []
        self._closing = Event()
        self._told = False
        self.health = StoreHealth()

    def begin(self, server: str, incarnation: int, events: StoreEvents, post: Post) -> None:
        """Write for *incarnation* of *server* from now on, and tell *events* on the loop, which *post* reaches."""
        self._server, self._incarnation = server, incarnation
        self._events, self._post = events, post
        self._leases = LeaseWatch(server)
        self._renew_at = self._clock() + RENEW_EVERY_S

    def accept(self, write: Write) -> None:
        """Queue one write."""
        self._queue.put(write)

    def close(self) -> None:
        """Have `run` end."""
        self._closing.set()
        self._queue.put(None)

    def run(self) -> None:
        """Write what comes, until `close`; then end the incarnation, if that can be done at once."""
        while not self._closing.is_set():
            self._collect()
            self._withdraw()
            if self._waiting or self._clock() >= self._renew_at:
                self._try()
        with suppress(OperatorError):
            self._store.end(self._server, self._incarnation)

    def _collect(self) -> None:
        """Take what has come; where nothing has, wait for it or for the renewal of the lease."""
        if not self._waiting:
            with suppress(Empty):
                self._take(self._queue.get(timeout=max(0.0, self._renew_at - self._clock())))
            if self._waiting:
                time.sleep(GATHER_S)
        with suppress(Empty):
            while len(self._waiting) < MOST_IN_BATCH:
                self._take(self._queue.get_nowait())

    def _take(self, write: Write | None) -> None:
        if write is not None:
            self._waiting.append(write)

    def _withdraw(self) -> None:
        """Discard the writes that no caller needs any more."""
        gone = [write for write in self._waiting if write.withdrawn]
        if gone:
            self._waiting = [write for write in self._waiting if not write.withdrawn]
            self._finished([(write, None) for write in gone])

    def _try(self) -> None:
        """Make one batch, and renew the lease with it; after a failure all of it is tried again later."""
        batch, self._waiting = self._waiting, []
        try:
            results, forgotten = self._store.write(batch, self._server, self._incarnation)
        except OperatorError as wrong:
            self._waiting = batch
            self._failed(wrong)
            return
        except (LocalError, OverflowError) as wrong:
            self.health.last_error = str(wrong)
            self._finished([(write, self._alone(write)) for write in batch])
            return
        self._worked(len(batch))
        if forgotten:
            self._post(self._events.forgotten)
        if batch:
            self._finished(list(zip(batch, results, strict=True)))
        if self._clock() >= self._renew_at:
            self._look_at_leases()

    def _alone(self, write: Write) -> WriteResult | None:
        """Make one write of a batch that holds one which no store could make; that one is not made."""
        with suppress(LocalError, OverflowError, OperatorError):
            return self._store.write([write], self._server, self._incarnation)[0][0]
        return None

    def _look_at_leases(self) -> None:
        """Drop the rows of servers that have stopped renewing their leases: each stores its own again if it comes back."""
        self._renew_at = self._clock() + RENEW_EVERY_S
        with suppress(OperatorError):  # then at the next renewal
            for server, incarnation in self._leases.renewed(self._store.renewals()):
                self._store.end(server, incarnation)

    def _failed(self, wrong: OperatorError) -> None:
        """Wait before the next attempt, and tell of the failure once."""
        health, now = self.health, self._clock()
        since = health.failing_since = now if health.failing_since is None else health.failing_since
        health.last_error = wrong.problems[0].reason if wrong.problems else str(wrong)
        if now - since >= TOLD_AFTER_S and not self._told:
            self._told = True
            self._post(lambda: self._events.store_failing(wrong))
        pause_s = TRY_AGAIN_S[min(health.failures, len(TRY_AGAIN_S) - 1)]
        health.failures += 1
        self._closing.wait(pause_s)

    def _worked(self, writes: int) -> None:
        health = self.health
        health.failing_since, health.failures = None, 0
        if writes:
            health.batches += 1
            health.writes += writes
        if self._told:
            self._told = False
            self._post(self._events.store_working)
