"""The bindings of a pool: the product's SQLite store and its statements, without threads, on virtual time; slow, and locked."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulation.processes import CURRENT
from sipmesh.errors import OperatorError
from sipmesh.storage.location_service.binding_writer import GATHER_S, TOLD_AFTER_S
from sipmesh.storage.location_service.bindings import BindingStore
from sipmesh.storage.location_service.lease_watch import RENEW_EVERY_S, LeaseWatch
from sipmesh.storage.location_service.locations import StoreHealth
from sipmesh.storage.location_service.version_table import slot_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from simulation.loop import VirtualLoop
    from sipmesh.storage.location_service.locations import StoredRows, StoreEvents, Write

TRY_AGAIN_S: Final = 0.5


@dataclass
class PoolStore:
    """The file that the servers of a pool share. While *locks* are held, nothing can be written."""

    bindings: BindingStore
    locks: int = 0

    @classmethod
    def open(cls, file: Path) -> PoolStore:
        """Open or make the file."""
        file.parent.mkdir(parents=True, exist_ok=True)
        return cls(BindingStore(file))

    def count(self) -> int:
        """Count the rows, whether they count or not."""
        return int(self.bindings._db.execute("SELECT count(*) FROM bindings").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self.bindings.close()


class VirtualLocations:
    """The view of one server: what it asks for is done later, in order, in its process, and not after the process has died."""

    knows_absence = True
    slot = staticmethod(slot_of)

    def __init__(self, store: PoolStore, loop: VirtualLoop) -> None:
        self._pool, self._store, self._loop = store, store.bindings, loop
        self.identity, self.health = self._store.identity, StoreHealth()
        self.versions: Sequence[int] = self._store.versions.values
        self.server, self.incarnation = "", 0
        self._waiting: deque[Write] = deque()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failing_since: float | None = None
        self._told = False

    def __repr__(self) -> str:
        return f"<VirtualLocations of {self.server}, {len(self._waiting)} writes wait>"

    def is_behind(self) -> bool:
        """Return False: the versions are shared."""
        return False

    def use_servers(self, servers: frozenset[str]) -> None:
        """Do nothing."""

    def restored(self) -> None:
        """Do nothing."""

    def begin(self, server: str, incarnation: int, events: StoreEvents) -> None:
        """Start *incarnation* of *server*; raises `OperatorError` while the store is locked."""
        if self._pool.locks:
            raise OperatorError("the bindings cannot be written: database is locked")
        self._leases = LeaseWatch(server)
        self.server, self.incarnation, self._events = server, incarnation, events
        self._store.begin(server, incarnation)
        self._renew()

    def _delay_s(self) -> float:
        process = CURRENT.get()
        return GATHER_S + (process.machine.slow_s if process is not None else 0.0)

    def find(self, aor: str, found: Callable[[StoredRows | None], None]) -> None:
        """Read later; a lock holds up no reader."""

        def read() -> None:
            [rows] = self._store.find([aor], self.server, self.incarnation)
            self._loop.call_soon(found, rows)

        self._loop.call_later(self._delay_s(), read)

    def write(self, write: Write) -> None:
        """Write later, with all that has come meanwhile."""
        self._waiting.append(write)
        if "write" not in self._timers:
            self._again("write", self._delay_s(), self._write_all)

    def _again(self, what: str, delay_s: float, act: Callable[[], None]) -> None:
        self._timers[what] = self._loop.call_later(delay_s, act)

    def _write_all(self) -> None:
        del self._timers["write"]
        for write in [write for write in self._waiting if write.withdrawn]:
            self._waiting.remove(write)
            self._loop.call_soon(write.done, None)
        if self._pool.locks:
            self._failed()
            return
        self._failing_since = None
        if self._told:
            self._told = False
            self._loop.call_soon(self._events.store_working)
        writes = list(self._waiting)
        self._waiting.clear()
        self._commit(writes)

    def _commit(self, writes: Sequence[Write]) -> None:
        """Make some writes in one transaction, and renew our lease with it."""
        results, forgotten = self._store.write(writes, self.server, self.incarnation)
        if forgotten:
            self._loop.call_soon(self._events.forgotten)
        for write, result in zip(writes, results, strict=True):
            self._loop.call_soon(write.done, result)

    def _failed(self) -> None:
        """Tell of a failure that lasts, and try again."""
        now = self._loop.now
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since >= TOLD_AFTER_S and not self._told:
            self._told = True
            self._loop.call_soon(self._events.store_failing, OperatorError("database is locked"))
        self._again("write", TRY_AGAIN_S, self._write_all)

    def _renew(self) -> None:
        """Renew our lease, and drop the rows of servers that have stopped renewing theirs, because they crashed or hang."""
        if not self._pool.locks:
            self._commit(())
            for server, incarnation in self._leases.renewed(self._store.renewals()):
                self._store.end(server, incarnation)
        self._again("renew", RENEW_EVERY_S, self._renew)

    def close(self) -> None:
        """End the incarnation, unless the store is locked."""
        for timer in self._timers.values():
            timer.cancel()
        if not self._pool.locks and self.server:
            self._store.end(self.server, self.incarnation)
