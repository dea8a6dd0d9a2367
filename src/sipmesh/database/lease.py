"""The lease of the management pool: which server leads, with a fencing number that is higher for each new leader.

Each document that management signs carries the number, and a server refuses a document with a lower number than it has seen. A
transaction that writes calls `Lease.enter` first. So a leader that was stopped, and overtaken meanwhile, writes nothing
and reaches no server.

A leader that writes keeps the lease, however long that takes. It renews the row without waiting for its own transactions. Another
server does not wait for these transactions either: while there is one, it cannot lead.

A network with one management server has no holder: its number changes only if a backup is restored. Times are seconds since 1970,
by the clock of the database.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sipmesh.database.connection import Database
from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.database.number_ceilings import FENCING_NUMBERS
from sipmesh.database.schema import CLOCKS, MANAGEMENT
from sipmesh.errors import NotLeadingError

if TYPE_CHECKING:
    from sipmesh.database import lease_tables as tables
else:
    tables = LazyModule("sipmesh.database.lease_tables")

LEASE_S: Final = 5.0
"""Seconds without a renewal after which another server may lead; the leader renews each second."""
LONGEST_LEASE_S: Final = 2 * LEASE_S
"""A lease that has longer to run is free: no leader has written it. Clocks of databases may be set back by the difference."""
_LOCK_NOT_AVAILABLE: Final = "55P03"  # a code of PostgreSQL (Appendix A)


@dataclass(frozen=True, slots=True)
class PoolMember:
    """A management server: *version* was in force on it *heard_s* seconds ago. *fencing* is 0 unless it leads.

    *ahead_s* are the seconds by which its clock was ahead of that of the database then; 0 of a release that does not say it.
    """

    server: str
    fencing: int
    version: int
    heard_s: float
    ahead_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The lease now: *holder* leads with *fencing* since *since*; *left_s* is the time until it expires, negative after that."""

    holder: str
    fencing: int
    since: float
    left_s: float

    @property
    def is_free(self) -> bool:
        """Whether another server may lead. An end that no leader can have written does not count."""
        return not self.holder or not 0 < self.left_s <= LONGEST_LEASE_S


class Lease:
    """The lease in one database, for the management server *holder*; "" if there is only one management server."""

    __slots__ = ("__weakref__", "_database", "_turn", "fencing", "floor", "holder", "is_kept")

    def __init__(self, database: Database, holder: str = "") -> None:
        """Migrate the database if needed; raises `OperatorError` if the database cannot be used.

        *fencing* is the number under which this process acts; in a pool it is 0 until `claim` has returned True. *is_kept* says
        that a running server claims the lease at intervals: then no other part of its process does. *floor* is the
        highest number that this host has seen in a signed document: it leads with no lower number, even if the database
        has one.
        """
        self._database, self.holder, self.fencing, self.floor = database, holder, 0, 0
        self.is_kept = False
        # A thread has it while it raises the number, or compares the number with that of the database.
        self._turn = threading.Lock()
        self.set_up(database)

    def set_up(self, database: Database) -> None:
        """Migrate *database*, which was opened again, if needed; raises `OperatorError` if it cannot be used."""
        database.migrate(MANAGEMENT)
        if self.is_of_pool:
            database.migrate(CLOCKS)
        with database.border(), database.engine.connect() as db:
            number = fencing_in(db)
            if not self.is_of_pool or number < self.fencing:  # another database was put in its place
                is_beyond = FENCING_NUMBERS.why_beyond(number, datetime.now(UTC))
                self.fencing = 0 if self.is_of_pool or is_beyond else number

    @property
    def is_of_pool(self) -> bool:
        """Whether several management servers share the database."""
        return bool(self.holder)

    def state(self) -> LeaseState | None:
        """Return who leads; None if no server ever has."""
        with self._database.border(), self._database.engine.connect() as db:
            return self._state_in(db)

    def claim(self) -> bool:
        """Lead from now on, or go on leading for `LEASE_S` more; False if another server leads.

        Raises `OperatorError` if the database cannot be used, or if its number is beyond what any leader can have.
        """
        if not self.is_of_pool:
            return True
        with self._turn, self._database.border():
            try:
                with self._database.engine.begin() as db:
                    number = self._claimed(db)
            except _WriterAtWorkError:
                number = 0
            self.fencing = number
        return bool(number)

    def renew(self) -> bool:
        """Go on leading for `LEASE_S` more; False if the lease was released, or another server leads. Any thread may call it.

        Raises `OperatorError` if the database cannot be used.
        """
        number = self.fencing
        if not self.is_of_pool or not number:
            return False
        with self._database.border(), self._database.engine.begin() as db:
            return self._prolong(db, number, tables.LEASE.c.until > 0)

    def _prolong(self, db: sql.Connection, number: int, *also: sql.ColumnElement[bool]) -> bool:
        """Set the end of our lease with *number*. No transaction of this server that writes is waited for (`enter`)."""
        ours = (tables.LEASE.c.holder == self.holder) & (tables.LEASE.c.fencing == number)
        until = time_of(db) + LEASE_S
        return bool(db.execute(tables.LEASE.update().where(ours, *also).values(until=until)).rowcount)

    def _claimed(self, db: sql.Connection) -> int:
        """Take or renew the lease; returns the fencing number, 0 if another server leads."""
        state = self._state_in(db)
        if state is not None:
            self._must_count(state.fencing)
            is_ours = self._is_ours(state)
            if is_ours and state.fencing >= self.floor and self._prolong(db, state.fencing):
                return state.fencing
            if not is_ours and not state.is_free:
                return 0
            _lock(db, waits=is_ours)
        else:
            _lock(db)
        return self._taken(db)

    def _is_ours(self, state: LeaseState) -> bool:
        return state.holder == self.holder and self.fencing in (0, state.fencing)

    def _taken(self, db: sql.Connection) -> int:
        """Take the lease if it is free, while no other transaction writes; returns the fencing number, or 0."""
        state, now = self._state_in(db), time_of(db)
        if state is not None:
            self._must_count(state.fencing)
        if state is None:
            number = self.floor + 1
            row = {"id": 1, "holder": self.holder, "fencing": number, "until": now + LEASE_S, "since": now}
            db.execute(tables.LEASE.insert().values(row))
            return number
        is_ours = self._is_ours(state)
        if is_ours and state.fencing >= self.floor:
            db.execute(tables.LEASE.update().values(until=now + LEASE_S))
            return state.fencing
        if not state.is_free and not is_ours:
            return 0
        number = max(state.fencing, self.floor) + 1
        db.execute(tables.LEASE.update().values(holder=self.holder, fencing=number, until=now + LEASE_S, since=now))
        return number

    def report(self, version: int, clock: datetime) -> list[PoolMember]:
        """Note that this server works, has *version* in force and the time *clock*; returns all servers that ever did so."""
        with self._database.border(), self._database.engine.begin() as db:
            now = time_of(db)
            self._put(db, tables.MEMBERS, heard=now, version=version)
            self._put(db, tables.CLOCKS, ahead=clock.timestamp() - now)
            state = self._state_in(db)
            leads = {state.holder: state.fencing} if state is not None else {}
            rows = db.execute(sql.select(tables.MEMBERS).order_by(tables.MEMBERS.c.server)).all()
            ahead = {row.server: row.ahead for row in db.execute(sql.select(tables.CLOCKS))}
        return [
            PoolMember(
                row.server, leads.get(row.server, 0), row.version, max(0.0, now - row.heard), ahead.get(row.server, 0.0)
            )
            for row in rows
        ]

    def _put(self, db: sql.Connection, table: sql.Table, **values: float) -> None:
        """Write the row of this server in *table*."""
        if not db.execute(table.update().where(table.c.server == self.holder).values(values)).rowcount:
            db.execute(table.insert().values(server=self.holder, **values))

    def release(self) -> None:
        """Let another server lead at once; nothing happens if this server does not lead."""
        ours = (tables.LEASE.c.holder == self.holder) & (tables.LEASE.c.fencing == self.fencing)
        with self._database.border(), self._database.engine.begin() as db:
            db.execute(tables.LEASE.update().where(ours).values(until=0))
        self.fencing = 0

    def enter(self, db: sql.Connection) -> int:
        """Begin a transaction that writes, and return the fencing number; no other server can lead until it ends.

        Raises `NotLeadingError` if another server leads, and `OperatorError` if the number is beyond what a leader can have.
        """
        if not self.is_of_pool:
            self._must_count(number := fencing_in(db))
            self.fencing = number
            return number
        # The lock of the table, which this statement takes too, keeps out a new leader. That of the row lets us renew the lease.
        holding = sql.select(tables.LEASE.c.holder, tables.LEASE.c.fencing).with_for_update(read=True, key_share=True)
        row = db.execute(holding).first()
        if row is not None:
            self._must_count(row.fencing)
        if row is None or not self.fencing or (row.holder, row.fencing) != (self.holder, self.fencing):
            raise self._not_leading(self._state_in(db))
        return self.fencing

    def must_lead(self) -> None:
        """Claim the lease for a command of this host, unless this process leads; raises `NotLeadingError` if that fails."""
        if not self.is_of_pool or self.fencing:
            return
        if self.is_kept or not self.claim():
            raise self._not_leading(self.state())

    def jump(self, by: int) -> int:
        """Raise the number by *by*, after a restore: the host that is lost may have used higher numbers. Returns the number."""
        with self._database.border(), self._database.engine.begin() as db:
            _lock(db)
            self._must_count(number := fencing_in(db) + by)
            self.fencing = number
            db.execute(tables.LEASE.delete())
            db.execute(
                tables.LEASE.insert().values(id=1, holder=self.holder, fencing=self.fencing, until=0, since=time_of(db))
            )
        return self.fencing

    def overtake(self, fencing: int) -> int:
        """Lead with a higher number than *fencing*, which servers have seen of another management server; returns the number.

        Raises as `enter` does.
        """
        with self._turn, self._database.border(), self._database.engine.begin() as db:
            _lock(db)
            number = max(self.enter(db), fencing + 1)
            self.floor = max(self.floor, fencing)
            self._must_count(number)
            if not db.execute(tables.LEASE.update().values(fencing=number)).rowcount:
                row = {"id": 1, "holder": self.holder, "fencing": number, "until": 0, "since": time_of(db)}
                db.execute(tables.LEASE.insert().values(row))
            self.fencing = number  # a claim of another thread waits for the end of the transaction
        return number

    def follow(self, db: sql.Connection, fencing: int) -> None:
        """Let the next leader have a higher number than *fencing*, in a database into which another one is copied."""
        if fencing_in(db) < fencing or self._state_in(db) is None:
            db.execute(tables.LEASE.delete())
            db.execute(tables.LEASE.insert().values(id=1, holder="", fencing=fencing, until=0, since=time_of(db)))

    def _must_count(self, fencing: int) -> None:
        """Raise `OperatorError` if no leader can have the number *fencing* yet: then the database was changed."""
        remedy = f"set `fencing` of management_lease to {max(self.floor, self.fencing)}"
        FENCING_NUMBERS.must_count(fencing, datetime.now(UTC), self.floor, remedy=remedy)

    def _not_leading(self, state: LeaseState | None) -> NotLeadingError:
        if state is None or state.holder in ("", self.holder):
            return NotLeadingError(f"{self.holder} does not lead the management pool now; try again in a few seconds")
        remedy = f"run this command on the host of {state.holder}"
        message = f"{state.holder} leads the management pool, with fencing number {state.fencing}; {remedy}"
        return NotLeadingError(message, state.holder)

    @staticmethod
    def _state_in(db: sql.Connection) -> LeaseState | None:
        row = db.execute(sql.select(tables.LEASE)).first()
        return LeaseState(row.holder, row.fencing, row.since, row.until - time_of(db)) if row is not None else None


def fencing_in(db: sql.Connection) -> int:
    """Return the fencing number that was used last, 0 if there is none."""
    return int(db.execute(sql.select(sql.func.coalesce(sql.func.max(tables.LEASE.c.fencing), 0))).scalar_one())


def time_of(db: sql.Connection) -> float:
    """Return the time of the database: hosts compare times with one clock."""
    if db.dialect.name == "postgresql":
        return float(db.execute(sql.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return float(db.execute(sql.text("SELECT (julianday('now') - 2440587.5) * 86400.0")).scalar_one())


class _WriterAtWorkError(Exception):
    """A transaction of the leader writes now."""


def _lock(db: sql.Connection, *, waits: bool = True) -> None:
    """Let no other transaction write. If one does, wait until it ends, or raise `_WriterAtWorkError` if *waits* is False."""
    if db.dialect.name == "postgresql":
        try:
            db.exec_driver_sql(f"LOCK TABLE management_lease IN EXCLUSIVE MODE{'' if waits else ' NOWAIT'}")
        except sql.exc.OperationalError as wrong:
            if not waits and getattr(wrong.orig, "sqlstate", "") == _LOCK_NOT_AVAILABLE:
                raise _WriterAtWorkError from None
            raise
    else:
        db.execute(tables.LEASE.update().values(id=1))
