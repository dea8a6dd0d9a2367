"""`Locations` in a SQLite file: one thread reads and another one writes, so that the event loop never waits for the file.

All writes that come during one transaction go into the next one. A reader does not wait for the write lock (WAL): if another
process keeps that lock, only writes wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import blake2s
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Final

from sipmesh.errors import OperatorError
from sipmesh.storage.location_service.binding_writer import BindingWriter, Results
from sipmesh.storage.location_service.bindings import BindingStore
from sipmesh.storage.location_service.locations import StoredRows, StoreEvents, StoreHealth, Write
from sipmesh.storage.location_service.version_table import slot_of
from sipmesh.storage.store_thread import Post, batches, while_loop_runs

CLOSING_S: Final = 1.0
"""How long the end of a server waits for what is still to be written; rows of a server that is gone lead nowhere."""

Lookup = tuple[str, Callable[[StoredRows | None], None]]


BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
"""A random number of the running kernel: all processes of a machine read the same one, containers too."""


def on_this_machine(identity: str) -> str:
    """Give the identity of a file as servers tell it: the same for those that share the file on one machine.

    A copy of the file has the identity of the file. And a file on a network file system is not shared, although two machines open
    it: neither its locks nor the memory beside it (`VersionTable`) reach the other machine.
    """
    return blake2s(f"{identity} {BOOT_ID.read_text()}".encode(), digest_size=16).hexdigest()


class SqliteLocations:
    """The bindings of the servers of one host. *post* reaches the loop; *clock* gives seconds and is never set."""

    knows_absence = True
    slot = staticmethod(slot_of)

    def __init__(self, path: Path, post: Post, clock: Callable[[], float] = time.monotonic) -> None:
        """Open or make the file; raises `OperatorError` where it cannot be used."""
        self._post = while_loop_runs(post)
        self._reading = BindingStore(path)
        self._writing = BindingStore(path, self._reading.versions)
        self.identity = on_this_machine(self._reading.identity)
        self.versions: Sequence[int] = self._reading.versions.values
        self._lookups: SimpleQueue[Lookup | None] = SimpleQueue()
        self._writer = BindingWriter(self._writing, self._written, clock)
        self.health: StoreHealth = self._writer.health
        self._threads: list[Thread] = []
        self.lookups = 0

    def is_behind(self) -> bool:
        """Return False: the versions are in memory that all servers share."""
        return False

    def use_servers(self, servers: frozenset[str]) -> None:
        """Do nothing: only servers of this machine can write to the file."""

    def restored(self) -> None:
        """Do nothing: the file is never without the rows of a server that has not lost them itself."""

    def begin(self, server: str, incarnation: int, events: StoreEvents) -> None:
        """Start *incarnation* of *server*, and the threads; raises `OperatorError` where the file cannot be written."""
        self._writing.begin(server, incarnation)
        self._writer.begin(server, incarnation, events, self._post)
        self._threads = [
            Thread(target=self._read, args=(server, incarnation), name="bindings-reader", daemon=True),
            Thread(target=self._writer.run, name="bindings-writer", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def find(self, aor: str, found: Callable[[StoredRows | None], None]) -> None:
        """Read the rows of one address of record; *found* gets None where the file cannot be read."""
        self.lookups += 1
        self._lookups.put((aor, found))

    def write(self, write: Write) -> None:
        """Make one change; it is tried until it is made or withdrawn."""
        self.health.waiting += 1
        self._writer.accept(write)

    def close(self) -> None:
        """End our incarnation, if that takes no longer than a moment, and close the file."""
        self._lookups.put(None)
        self._writer.close()
        for thread in self._threads:
            thread.join(CLOSING_S)
        if not any(thread.is_alive() for thread in self._threads):
            self._reading.close()
            self._writing.close()

    def _read(self, server: str, incarnation: int) -> None:
        """Answer lookups, in the thread of the reader, until the store is closed."""
        for batch in batches(self._lookups):
            self._answer(batch, server, incarnation)

    def _answer(self, batch: Sequence[Lookup], server: str, incarnation: int) -> None:
        try:
            rows: Sequence[StoredRows | None] = self._reading.find([aor for aor, _ in batch], server, incarnation)
        except OperatorError:
            rows = [None] * len(batch)
        self._post(lambda: self._tell_found(batch, rows))

    def _written(self, results: Results) -> None:
        """Hand results to the loop; called in the thread of the writer."""
        self._post(lambda: self._tell_written(results))

    def _tell_found(self, batch: Sequence[Lookup], rows: Sequence[StoredRows | None]) -> None:
        self.lookups -= len(batch)
        for (_, found), one in zip(batch, rows, strict=True):
            found(one)

    def _tell_written(self, results: Results) -> None:
        self.health.waiting -= len(results)
        for write, result in results:
            write.done(result)
