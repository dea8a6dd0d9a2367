"""What every store of bindings offers: it is asked on the event loop, and answers later.

A server keeps the rows of its own flows in memory, and of the rows of other servers those that it has asked for
(`server.proxy.registrar.known_bindings`). The store makes what one server has registered known to the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sipmesh.errors import OperatorError
from sipmesh.routing.registrar.binding import Binding, BindingKey

NOTHING_YET: Final = 0
"""The version of a slot none of whose addresses of record has had a row: there is nothing to be asked for."""


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The live rows of one address of record: the highest q first, among equals the row that was stored last.

    *version* is that of its slot, from before the rows were read. *remembered* is False if the store does not know our
    incarnation: our own rows are missing there, and are about to be stored again. *complete* is False if rows of another server
    may be missing: then a user without rows may be registered all the same.

    *removed* are the names of rows that a REGISTER at another server has removed. It is None where only the servers of
    the pool can write: then every row of ours that is missing was removed or replaced.
    """

    rows: tuple[Binding, ...]
    version: int
    remembered: bool = True
    complete: bool = True
    removed: frozenset[str] | None = None


@dataclass(init=False, slots=True)
class WriteResult:
    """What has become of one write.

    *lost* are rows that gave way to a newer registration under the same Call-ID. *before* and *after* are the versions of the
    slot: rows that were read under *before*, with this write applied to them, are right under *after*.
    """

    lost: frozenset[BindingKey]
    before: int
    after: int

    def __init__(self, lost: frozenset[BindingKey], before: int, after: int) -> None:
        self.lost, self.before, self.after = lost, before, after


@dataclass(init=False, eq=False, slots=True)
class Write:
    """One change of the rows of *aor*: *drop* first, then *put*, all of it or nothing.

    A row of *drop* is removed only as it was seen, which its token says. *restores* marks rows that were stored before: each
    gives way to a row that has taken its place. *done* is called on the loop, with None if the write was not made. Who sets
    *withdrawn* no longer needs the write; it may be made all the same. *unregisters*: a user has removed the rows of *drop*, so
    that their servers must not store them again.
    """

    aor: str
    put: tuple[Binding, ...]
    drop: tuple[Binding, ...]
    done: Callable[[WriteResult | None], None]
    restores: bool
    withdrawn: bool
    unregisters: bool

    def __init__(
        self,
        aor: str,
        put: tuple[Binding, ...],
        drop: tuple[Binding, ...],
        done: Callable[[WriteResult | None], None],
        *,
        restores: bool = False,
        withdrawn: bool = False,
        unregisters: bool = False,
    ) -> None:
        self.aor, self.put, self.drop, self.done = aor, put, drop, done
        self.restores, self.withdrawn, self.unregisters = restores, withdrawn, unregisters


class StoreEvents(Protocol):
    """What is called with each change of the store's state, on the loop."""

    def forgotten(self) -> None:
        """The store has lost our rows, such as after this process was stopped for long: store them again."""

    def doubted(self) -> None:
        """Rows of ours may be missing from the store, which could not be followed for a while: read them all again."""

    def changed(self, aor: str) -> None:
        """Another server, or another client of the store, has changed the rows of *aor*."""

    def store_failing(self, problem: OperatorError) -> None:
        """The store cannot be written. Called once; the store tries again by itself."""

    def store_working(self) -> None:
        """The store can be written again."""


@dataclass(slots=True)
class StoreHealth:
    """How the store does. *waiting* writes are not answered yet; *batches* transactions have made *writes*.

    *failing_since* is in seconds of the store's clock, which is never set; None while the store can be written. *failures* are
    the attempts since then, *last_error* is what the newest one has said. *warning* is a fault with which the store works.
    """

    waiting: int = 0
    batches: int = 0
    writes: int = 0
    failing_since: float | None = None
    failures: int = 0
    last_error: str = ""
    warning: str = ""


class Locations(Protocol):
    """The bindings of one pool, shared by its servers.

    A row belongs to a server, to an incarnation of it and to a flow. It is live until its server removes it, or until that
    incarnation ends: by `close`, by a later `begin`, or because its server has stopped renewing its lease. No row ends
    by a clock.

    Every method returns at once and is called on the event loop, which also calls back. Only `begin` and `close` wait.
    """

    @property
    def identity(self) -> str:
        """A random name of the store, in hex; servers with different names do not share it. Empty where nothing is kept."""

    @property
    def versions(self) -> Sequence[int]:
        """The version of each slot: another number after each change of its rows, before the change is acknowledged."""

    @property
    def health(self) -> StoreHealth:
        """How the store does."""

    @property
    def knows_absence(self) -> bool:
        """Whether a user without rows in memory has none: news of a change cannot be late. Otherwise the store is asked."""

    def is_behind(self) -> bool:
        """Tell whether news of a change may have come that `versions` do not show yet; asked unless `knows_absence`."""

    def slot(self, aor: str) -> int:
        """Give the slot of one address of record; several may share one."""

    def begin(self, server: str, incarnation: int, events: StoreEvents) -> None:
        """Start *incarnation* of *server*: from now on rows of earlier incarnations are dead."""

    def find(self, aor: str, found: Callable[[StoredRows | None], None]) -> None:
        """Read the rows of one address of record; *found* gets None where the store cannot be read."""

    def write(self, write: Write) -> None:
        """Make one change; it is tried until it is made or withdrawn. Changes of one server are made in their order."""

    def use_servers(self, servers: frozenset[str]) -> None:
        """Know that the pool has *servers* from now on: the rows of no other server count."""

    def restored(self) -> None:
        """Say that our rows were written again after `StoreEvents.forgotten`; those writes may still wait."""

    def close(self) -> None:
        """End our incarnation with all its rows, if that takes no longer than a moment, and let go of the store."""
