"""What all parts of one server know of its store: the connection, whether our rows are there, and how the store does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.printable import printable

if TYPE_CHECKING:
    from sipmesh.storage.location_service.locations import StoreEvents, StoreHealth
    from sipmesh.storage.location_service.valkey.commands import Words
    from sipmesh.storage.location_service.valkey.connection import StoreConnection, Then

TRY_AGAIN_S: Final = (0.05, 0.25, 0.5, 1.0, 2.0)
"""How long this server waits after each failure in a row; the last one counts for all that follow."""

TOLD_AFTER_S: Final = 2.0
"""A store that fails for longer is reported; a Sentinel failover may be over by then."""


class StoreSession:
    """The store *name*, as used from *loop*. *give_up* is called at each failure: requests that wait for a row wait no longer.

    *ready* is the connection that can be used, *identity* the name of the store. *is_restored*: all our rows are in it.
    """

    def __init__(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop,
        health: StoreHealth,
        events: StoreEvents,
        give_up: Callable[[], None],
    ) -> None:
        self._name, self.loop, self.health, self.events, self._give_up = name, loop, health, events, give_up
        self.ready: StoreConnection | None = None
        self.identity = ""
        self.is_restored = False
        self._told = False

    def send(self, commands: Sequence[tuple[Words, Then]]) -> None:
        """Send *commands*, if the store can be asked."""
        if self.ready is not None:
            self.ready.send(commands)

    def abort(self, reason: str) -> None:
        """Leave the connection, and connect again."""
        if self.ready is not None:
            self.ready.abort(reason)

    def forgotten(self) -> None:
        """Store our rows again: another server has ended our lease, such as after this process was stopped."""
        if self.is_restored:
            self.is_restored = False
            self.events.forgotten()

    def failed(self, reason: str) -> None:
        """Take note of a failure; a lasting failure is reported once."""
        health = self.health
        if health.failing_since is None:
            health.failing_since = self.loop.time()
        health.failures += 1
        health.last_error = f"{self._name}: {printable(reason)}"
        self._give_up()

    def try_again_s(self) -> float:
        """Give how long to wait after the newest failure, in seconds."""
        return TRY_AGAIN_S[min(self.health.failures, len(TRY_AGAIN_S)) - 1]

    def tell_failing(self, now: float) -> None:
        """Tell of a failure that has lasted until *now*."""
        since = self.health.failing_since
        if since is not None and now - since >= TOLD_AFTER_S and not self._told:
            self._told = True
            self.events.store_failing(OperatorError(self.health.last_error))

    def worked(self, writes: int = 0, batches: int = 0) -> None:
        """Take note that the store has answered, and has made *writes* and *batches* of them."""
        health = self.health
        health.failing_since, health.failures = None, 0
        health.batches += batches
        health.writes += writes
        if self._told:
            self._told = False
            self.events.store_working()
