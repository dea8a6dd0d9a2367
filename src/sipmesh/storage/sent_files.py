"""The files that users send beside messages: encrypted parts in a database of management, for some days.

A file counts once all of it is there: what an interrupted upload has left is no file, and is removed. Instants are seconds since
1970, by the clock of the database.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.database.connection import Database, is_missing_file
from sipmesh.database.lazy_module import LazyModule, sql
from sipmesh.database.schema import FILES
from sipmesh.errors import OperatorError
from sipmesh.storage.messages import now, octets_in

if TYPE_CHECKING:
    from sipmesh.storage import sent_file_tables as tables
else:
    tables = LazyModule("sipmesh.storage.sent_file_tables")

PART: Final = 256 << 10
"""Octets of a part before it is encrypted; the last one may be shorter."""

MOST_OF_USER: Final = 1_000
"""Files of one user."""

KEPT_FREE: Final = 256 << 20
"""Octets of the disk that files in an SQLite database leave free: management has its other data there."""

_REMOVED: Final = "the upload has taken too long, or its user was removed"


class NoRoomError(OperatorError):
    """There is no room for the file; the message says of what there is too much."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many octets the files of one user, of the users of one pool, and of all users may have."""

    user: int
    pool: int
    total: int


@dataclass(frozen=True, slots=True)
class Owner:
    """The user *aor* who has sent a file, when that account was created (`Verifier.created`), and the home pool."""

    aor: str
    account: int
    pool: str


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that is there. *about* is encrypted; *size* is that of the content."""

    id: str
    owner: Owner
    size: int
    until: float
    about: bytes
    parts: int


class SentFiles:
    """The database at *url*; a path means SQLite. Its methods block, and raise `OperatorError` if it cannot be used."""

    __slots__ = ("_database", "_kept_free")

    def __init__(self, url: str | Path, kept_free: int = KEPT_FREE) -> None:
        self._database, self._kept_free = Database(url, "files of messages"), kept_free
        self._database.migrate(FILES)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def begin(self, file: str, owner: Owner, size: int, room: Room, lease_s: float) -> None:
        """Take the room for *size* octets of a new *file*, for *lease_s* or until a part comes. Raises `NoRoomError`."""
        with self._writing() as db:
            at = now(db)
            self._must_fit_on_disk(size + _sum(db, tables.FILES.c.parts == 0)[1])  # other uploads have their room on it
            _remove(db, tables.FILES.c.until <= at)
            for whose, most, which in (
                ("you", room.user, tables.FILES.c.owner == owner.aor),
                ("the users of your pool", room.pool, tables.FILES.c.pool == owner.pool),
                ("all users", room.total, sql.true()),
            ):
                count, octets = _sum(db, which)
                if octets + size > most or (whose == "you" and count >= MOST_OF_USER):
                    raise NoRoomError(f"{whose} may not store more files now; older files are removed after some days")
            row = {"id": file, "owner": owner.aor, "account": owner.account, "pool": owner.pool, "size": size}
            db.execute(tables.FILES.insert().values({**row, "until": at + lease_s, "about": b"", "parts": 0}))

    def write(self, file: str, number: int, octets: bytes, lease_s: float) -> None:
        """Store the encrypted part *number* of a file that was begun, and hold its room for *lease_s* more.

        Raises `OperatorError` if it was removed meanwhile.
        """
        with self._border() as db:
            begun = tables.FILES.update().where(tables.FILES.c.id == file).values(until=now(db) + lease_s)
            if not db.execute(begun).rowcount:
                raise OperatorError(_REMOVED)
            db.execute(tables.PARTS.insert().values(id=file, number=number, octets=octets))

    def finish(self, file: str, size: int, parts: int, about: bytes, lifetime_s: float) -> float:
        """Let the file count from now on, and return until when. Raises `OperatorError` if it was removed meanwhile."""
        with self._border() as db:
            until = now(db) + lifetime_s
            row = {"size": size, "parts": parts, "about": about, "until": until}
            if not db.execute(tables.FILES.update().where(tables.FILES.c.id == file).values(row)).rowcount:
                raise OperatorError(_REMOVED)
            return until

    def find(self, file: str) -> SentFile | None:
        """Return a file that counts, None if there is none."""
        table = tables.FILES
        with self._border() as db:
            row = db.execute(sql.select(table).where(table.c.id == file, table.c.parts > 0)).first()
            if row is None or row.until <= now(db):
                return None
        owner = Owner(str(row.owner), int(row.account), str(row.pool))
        return SentFile(file, owner, int(row.size), float(row.until), octets_in(row.about), int(row.parts))

    def part(self, file: str, number: int) -> bytes:
        """Return the encrypted part *number* of a file; no octets if it is gone."""
        table = tables.PARTS
        with self._border() as db:
            found = db.execute(sql.select(table.c.octets).where(table.c.id == file, table.c.number == number)).scalar()
        return octets_in(found)

    def remove(self, file: str) -> bool:
        """Remove a file; False if there is none."""
        with self._border() as db:
            return _remove(db, tables.FILES.c.id == file) > 0

    def expire(self) -> int:
        """Remove what is too old, and uploads of which no part has come in their lease; gives how many.

        A part that came while its file was removed goes too: no file would count it.
        """
        known, parts = sql.select(tables.FILES.c.id), tables.PARTS.c.id
        with self._border() as db:
            db.execute(tables.PARTS.delete().where(parts.in_(sql.select(parts).except_(known))))
            return _remove(db, tables.FILES.c.until <= now(db))

    def owners(self) -> Sequence[tuple[str, int]]:
        """Give each user who has files, with the account."""
        table = tables.FILES
        with self._border() as db:
            owners = db.execute(sql.select(table.c.owner, table.c.account).distinct())
            return [(str(row.owner), int(row.account)) for row in owners]

    def forget(self, owners: Collection[tuple[str, int]]) -> int:
        """Remove the files of these users and accounts; 0 is for each account of the name. Gives how many."""
        table = tables.FILES
        with self._border() as db:
            return sum(
                _remove(db, sql.and_(table.c.owner == aor, table.c.account == account if account else sql.true()))
                for aor, account in owners
            )

    def usage(self) -> tuple[int, int]:
        """Give how many files there are, and their octets."""
        with self._border() as db:
            return _sum(db, sql.true())

    def _must_fit_on_disk(self, size: int) -> None:
        file = self._database.file
        if file is not None and shutil.disk_usage(file.absolute().parent).free < size + self._kept_free:
            raise NoRoomError("the disk of management has no room for files now; tell your administrator")

    @contextmanager
    def _border(self) -> Iterator[sql.Connection]:
        with self._database.border(), self._database.engine.begin() as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[sql.Connection]:
        """Begin a transaction that no other one of this kind overlaps."""
        with self._border() as db:
            db.execute(tables.TURN.update().values(turn=tables.TURN.c.turn + 1))
            yield db


def _sum(db: sql.Connection, which: sql.ColumnElement[bool]) -> tuple[int, int]:
    """Count files and their octets."""
    total = sql.func.coalesce(sql.func.sum(tables.FILES.c.size), 0)
    count, octets = db.execute(sql.select(sql.func.count(), total).where(which)).one()
    return int(count), int(octets)


def _remove(db: sql.Connection, which: sql.ColumnElement[bool]) -> int:
    """Remove files with their parts; gives how many files."""
    files = sql.select(tables.FILES.c.id).where(which)
    db.execute(tables.PARTS.delete().where(tables.PARTS.c.id.in_(files)))
    return db.execute(tables.FILES.delete().where(which)).rowcount


def erase_files(url: str, aors: Collection[str]) -> int:
    """Remove all files of *aors* from the database at *url*; gives how many. Raises `OperatorError`."""
    if is_missing_file(url):
        return 0
    store = SentFiles(url)
    try:
        return store.forget([(aor, 0) for aor in aors])
    finally:
        store.close()
