"""`Locations` in memory: a second store beside SQLite, for the tests of the interface and for servers without threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from zlib import crc32

from sipmesh.routing.registrar.binding import NEVER, Binding, BindingKey
from sipmesh.storage.location_service.locations import (
    NOTHING_YET,
    StoredRows,
    StoreEvents,
    StoreHealth,
    Write,
    WriteResult,
)

SLOTS = 1_024


@dataclass
class MemoryStore:
    """What the servers of a pool share: rows with the number under which each was stored, and incarnations."""

    rows: dict[BindingKey, tuple[Binding, int]] = field(default_factory=dict)
    incarnations: dict[str, int] = field(default_factory=dict)
    versions: list[int] = field(default_factory=lambda: [NOTHING_YET] * SLOTS)
    count: int = 0

    def next(self) -> int:
        """Count on: for versions and for the order of rows."""
        self.count += 1
        return self.count

    def drop_server(self, server: str) -> int:
        """Drop the rows of a server."""
        gone = [key for key, (row, _) in self.rows.items() if row.server == server]
        for key in gone:
            del self.rows[key]
            self.versions[slot_of(key.aor)] = self.next()
        return len(gone)


class MemoryLocations:
    """The view of one server. *post* says when a call is made: at once, unless it is a loop's ``call_soon``."""

    identity = "memory"
    knows_absence = True

    def __init__(self, store: MemoryStore, post: Callable[[Callable[[], None]], object] = lambda call: call()) -> None:
        self.store, self._post = store, post
        self.versions: Sequence[int] = store.versions
        self.health = StoreHealth()
        self.server, self.incarnation = "", 0

    def slot(self, aor: str) -> int:
        """Give the slot of an address of record."""
        return slot_of(aor)

    def is_behind(self) -> bool:
        """Return False: the versions are shared."""
        return False

    def use_servers(self, servers: frozenset[str]) -> None:
        """Do nothing."""

    def restored(self) -> None:
        """Do nothing."""

    def begin(self, server: str, incarnation: int, events: StoreEvents) -> None:
        """Start *incarnation* of *server*."""
        self.server, self.incarnation, self._events = server, incarnation, events
        self.store.incarnations[server] = incarnation
        self.store.drop_server(server)

    def find(self, aor: str, found: Callable[[StoredRows | None], None]) -> None:
        """Read the rows of one address of record."""
        held = sorted(self.store.rows.values(), key=lambda one: (-one[0].q, -one[1]))
        rows = tuple(row for row, _ in held if row.aor == aor)
        version = self.versions[slot_of(aor)]
        remembered = self.store.incarnations.get(self.server) == self.incarnation
        self._post(lambda: found(StoredRows(rows, version, remembered)))

    def write(self, write: Write) -> None:
        """Make one change."""
        if self.server not in self.store.incarnations:
            self.store.incarnations[self.server] = self.incarnation
            self._post(self._events.forgotten)
        result = self._made(write) if not write.withdrawn else None
        self._post(lambda: write.done(result))

    def _made(self, write: Write) -> WriteResult:
        rows, slot = self.store.rows, slot_of(write.aor)
        before = self.store.versions[slot]
        for row in write.drop:
            if row.key in rows and rows[row.key][0].token == row.token:
                del rows[row.key]
        lost = set()
        for row in write.put:
            held = rows.get(row.key)
            if held is not None and (write.restores or not is_newer(row, held[0])):
                lost.add(row.key)
            else:
                rows[row.key] = replace(row, expires_at=NEVER), self.store.next()
        self.store.versions[slot] = self.store.next()
        return WriteResult(frozenset(lost), before, self.store.versions[slot])

    def close(self) -> None:
        """End the incarnation."""
        if self.store.incarnations.get(self.server) == self.incarnation:
            del self.store.incarnations[self.server]
            self.store.drop_server(self.server)


class Gate:
    """Lets calls pass until it is shut; then it keeps them until it is opened again."""

    def __init__(self) -> None:
        self.kept: list[Callable[[], None]] = []
        self.is_shut = False

    def __call__(self, call: Callable[[], None]) -> None:
        """Take a call."""
        if self.is_shut:
            self.kept.append(call)
        else:
            call()

    def open(self) -> None:
        """Make every call that was kept, and let the next calls pass."""
        self.is_shut = False
        while self.kept:
            self.kept.pop(0)()


def is_newer(row: Binding, held: Binding) -> bool:
    """Whether *row* may replace *held* (RFC 3261 section 10.3)."""
    return row.call_id != held.call_id or row.cseq > held.cseq


def slot_of(aor: str) -> int:
    """The slot of an address of record."""
    return crc32(aor.encode("utf-8", "backslashreplace")) % SLOTS
