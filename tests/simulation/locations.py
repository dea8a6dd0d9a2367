"""The bindings of a pool, in memory and on virtual time: slow, locked, and with the leases of the real store."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simulation.processes import CURRENT
from sipmesh.errors import OperatorError
from sipmesh.storage.location_service.binding_writer import GATHER_S, TOLD_AFTER_S
from sipmesh.storage.location_service.lease_watch import RENEW_EVERY_S, LeaseWatch
from support.memory_locations import MemoryLocations, MemoryStore

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from simulation.loop import VirtualLoop
    from sipmesh.storage.location_service.locations import StoredRows, StoreEvents, Write

TRY_AGAIN_S: Final = 0.5


@dataclass
class PoolStore(MemoryStore):
    """What the servers of a pool share. While *locks* are held, nothing can be written; *renewals* are the leases."""

    identity: str = ""
    locks: int = 0
    renewals: dict[str, tuple[int, int]] = field(default_factory=dict)

    def end(self, server: str, incarnation: int) -> None:
        """Drop the rows of an incarnation."""
        if self.incarnations.get(server) == incarnation:
            del self.incarnations[server]
            self.renewals.pop(server, None)
            self.drop_server(server)


class VirtualLocations(MemoryLocations):
    """The view of one server: what it asks for is done later, in order, in its process, and not after the process has died."""

    store: PoolStore

    def __init__(self, store: PoolStore, loop: VirtualLoop) -> None:
        super().__init__(store, loop.call_soon)
        self.identity = store.identity
        self._loop = loop
        self._waiting: deque[Write] = deque()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failing_since: float | None = None
        self._told = False

    def __repr__(self) -> str:
        return f"<VirtualLocations of {self.server}, {len(self._waiting)} writes wait>"

    def begin(self, server: str, incarnation: int, events: StoreEvents) -> None:
        """Start *incarnation* of *server*; raises `OperatorError` while the store is locked."""
        if self.store.locks:
            raise OperatorError("the bindings cannot be written: database is locked")
        self._leases = LeaseWatch(server)
        super().begin(server, incarnation, events)
        self._renew()

    def _delay_s(self) -> float:
        process = CURRENT.get()
        return GATHER_S + (process.machine.slow_s if process is not None else 0.0)

    def find(self, aor: str, found: Callable[[StoredRows | None], None]) -> None:
        """Read later; a lock holds up no reader."""
        self._loop.call_later(self._delay_s(), super().find, aor, found)

    def write(self, write: Write) -> None:
        """Write later, with all that has come meanwhile."""
        self._waiting.append(write)
        if "write" not in self._timers:
            self._again("write", self._delay_s(), self._write_all)

    def _again(self, what: str, delay_s: float, act: Callable[[], None]) -> None:
        self._timers[what] = self._loop.call_later(delay_s, act)

    def _write_all(self) -> None:
        del self._timers["write"]
        if self.store.locks:
            self._failed()
            return
        self._failing_since = None
        if self._told:
            self._told = False
            self._post(self._events.store_working)
        while self._waiting:
            super().write(self._waiting.popleft())

    def _failed(self) -> None:
        """Let go of what nobody needs any more, tell of a failure that lasts, and try again."""
        now = self._loop.now
        if self._failing_since is None:
            self._failing_since = now
        for write in [write for write in self._waiting if write.withdrawn]:
            self._waiting.remove(write)
            super().write(write)
        if now - self._failing_since >= TOLD_AFTER_S and not self._told:
            self._told = True
            self._post(lambda: self._events.store_failing(OperatorError("database is locked")))
        self._again("write", TRY_AGAIN_S, self._write_all)

    def _renew(self) -> None:
        """Renew our lease, and drop the rows of servers that renew theirs no more, as after a crash or while they hang."""
        store = self.store
        if not store.locks:
            if self.server not in store.incarnations:
                store.incarnations[self.server] = self.incarnation
                self._post(self._events.forgotten)
            before = store.renewals.get(self.server, (self.incarnation, 0))[1]
            store.renewals[self.server] = (self.incarnation, before + 1)
            for server, incarnation in self._leases.renewed(dict(store.renewals)):
                store.end(server, incarnation)
        self._again("renew", RENEW_EVERY_S, self._renew)

    def close(self) -> None:
        """End the incarnation, unless the store is locked."""
        for timer in self._timers.values():
            timer.cancel()
        if not self.store.locks:
            with suppress(AttributeError):  # it has not begun
                self.store.end(self.server, self.incarnation)
