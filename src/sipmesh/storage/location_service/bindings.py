"""The bindings of the servers of one host, in one SQLite file that they share.

A flow dies with its process, so nothing here has to outlive a crash of the machine: there is no fsync (synchronous=OFF).
The death of a process costs nothing either way, since what it has committed is in the page cache that all of them share. A
file that a power cut has spoiled is set aside at the next start.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Final

from sipmesh.database.private_file import create_private
from sipmesh.errors import LocalError, OperatorError, Problem
from sipmesh.routing.registrar.binding import Binding, BindingKey
from sipmesh.storage.location_service.locations import StoredRows, Write, WriteResult
from sipmesh.storage.location_service.version_table import VersionTable, slot_of

_FAULTS_OF_OURS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)

SCHEMA_VERSION: Final = 2
ROOM: Final = 1 << 20
"""Octets of free pages in the file from the start: room for about 2,000 registrations on a full disk."""

LOG_ROOM: Final = 4_200_000
"""Octets of the write-ahead log from the start: SQLite writes it from the beginning again after 1,000 pages of 4 KiB."""

LEAST_FREE: Final = 16 << 20
"""Octets that must be free on the disk for that: the reserve must not fill the disk."""

APPLICATION_ID: Final = 0x5349504D  # "SIPM": a file of another program is neither written nor set aside
OPENING_S: Final = 5.0
"""How long the start of a server waits for another process that has locked the file."""

BUSY_TIMEOUT_S: Final = 0.25
"""How long one attempt to write waits for another process; then it is made again."""

_FIELDS = tuple(field.name for field in fields(Binding) if field.init)
_COLUMNS = tuple(name for name in _FIELDS if name != "expires_at")
_LIST = ", ".join(_COLUMNS)
_READ = ", ".join("9e999" if name == "expires_at" else name for name in _FIELDS)
_values_of = attrgetter(*_COLUMNS)
NOTHING_LOST: Final[frozenset[BindingKey]] = frozenset()

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS incarnations (
  server TEXT PRIMARY KEY, incarnation INTEGER NOT NULL, renewals INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bindings (
  aor TEXT NOT NULL, name TEXT NOT NULL, contact TEXT NOT NULL, instance TEXT, reg_id INTEGER, q REAL NOT NULL,
  call_id TEXT NOT NULL, cseq INTEGER NOT NULL, server TEXT NOT NULL, incarnation INTEGER NOT NULL, flow INTEGER NOT NULL,
  token TEXT NOT NULL, user_agent TEXT NOT NULL, interval_s INTEGER NOT NULL, number INTEGER NOT NULL,
  PRIMARY KEY (aor, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS store (only INTEGER PRIMARY KEY CHECK (only = 1), identity TEXT NOT NULL, number INTEGER NOT NULL);
PRAGMA user_version = {SCHEMA_VERSION};
PRAGMA application_id = {APPLICATION_ID};
"""

_FIND = f"""
SELECT {_READ} FROM bindings JOIN incarnations USING (server, incarnation) WHERE aor = ? ORDER BY q DESC, number DESC
"""  # noqa: S608 - the columns are the names of our own record

# Two servers may take registrations of one device at the same time: under one Call-ID the higher CSeq stays (RFC 3261 10.3).
_INSERT = (
    f"INSERT INTO bindings (name, number, {_LIST}) VALUES (?, ?{', ?' * len(_COLUMNS)}) ON CONFLICT (aor, name) DO "  # noqa: S608
)
_PUT = f"""
{_INSERT} UPDATE SET number = excluded.number, {", ".join(f"{column} = excluded.{column}" for column in _COLUMNS[1:])}
WHERE call_id <> excluded.call_id OR cseq < excluded.cseq
"""
_RESTORE = f"{_INSERT} NOTHING"

_DROP = "DELETE FROM bindings WHERE aor = ? AND name = ? AND token = ?"
_DROP_SERVER = "DELETE FROM bindings WHERE server = ? AND incarnation <> ? RETURNING aor"
_DROP_INCARNATION = "DELETE FROM bindings WHERE server = ? AND incarnation = ? RETURNING aor"
_BEGIN = """
INSERT INTO incarnations (server, incarnation) VALUES (?, ?)
ON CONFLICT (server) DO UPDATE SET incarnation = excluded.incarnation
"""
_BEGIN_AGAIN = "INSERT OR IGNORE INTO incarnations (server, incarnation) VALUES (?, ?)"
_END = "DELETE FROM incarnations WHERE server = ? AND incarnation = ?"
_RENEW = "UPDATE incarnations SET renewals = renewals + 1 WHERE server = ? AND incarnation = ?"
_NUMBERS = "UPDATE store SET number = number + ? RETURNING number"
_IS_REMEMBERED = "SELECT EXISTS (SELECT 1 FROM incarnations WHERE server = ? AND incarnation = ?)"


class BindingStore:
    """One connection to the file, used by one thread at a time; *versions* is shared by the connections of a process.

    Every method raises `OperatorError` where the file cannot be used, which says why and what to do.
    """

    __slots__ = ("_db", "identity", "path", "versions")

    def __init__(self, path: Path, versions: VersionTable | None = None) -> None:
        """Open or make the file; raises `OperatorError` where the folder or the file does not let us."""
        self.path = path.resolve()  # what lies beside it lies beside the file that all servers share
        self._db, self.identity, self.versions = _open(self.path, versions)

    def begin(self, server: str, incarnation: int) -> int:
        """Start *incarnation* of *server*: from now on rows of earlier incarnations are dead. Returns how many were dropped.

        An earlier incarnation that has not ended itself may have died after a commit and before its mark. So all rows are read
        again then.
        """
        with self._writing() as db:
            was_killed = db.execute("SELECT 1 FROM incarnations WHERE server = ?", (server,)).fetchone() is not None
            db.execute(_BEGIN, (server, incarnation))
            aors = db.execute(_DROP_SERVER, (server, incarnation)).fetchall()
            [empty] = db.execute("SELECT NOT EXISTS (SELECT 1 FROM bindings)").fetchone()
            if empty:
                self.versions.clear()
        if not empty and was_killed:
            self.versions.mark_all()
        elif not empty:
            self.versions.mark({slot_of(aor) for (aor,) in aors})
        return len(aors)

    def end(self, server: str, incarnation: int) -> None:
        """End *incarnation* of *server*, and drop its rows; those of a later one stay."""
        with self._writing() as db:
            db.execute(_END, (server, incarnation))
            aors = db.execute(_DROP_INCARNATION, (server, incarnation)).fetchall()
        self.versions.mark({slot_of(aor) for (aor,) in aors})

    def find(self, aors: Sequence[str], server: str, incarnation: int) -> list[StoredRows]:
        """Read the live rows of each of *aors*; *server* and *incarnation* ask."""
        versions = [self.versions.values[slot_of(aor)] for aor in aors]
        try:
            [remembered] = self._db.execute(_IS_REMEMBERED, (server, incarnation)).fetchone()
            rows = [tuple(Binding(*row) for row in self._db.execute(_FIND, (_plain(aor),))) for aor in aors]
        except sqlite3.Error as wrong:
            raise _unusable(self.path, wrong) from wrong
        return [StoredRows(*one, bool(remembered)) for one in zip(rows, versions, strict=True)]

    def write(self, writes: Sequence[Write], server: str, incarnation: int) -> tuple[list[WriteResult], bool]:
        """Make *writes* in one transaction, and renew the lease of *server*.

        The second result is True if the store did not know *incarnation* any more: all other rows of it are missing. Raises
        `OperatorError` where another process has begun a later incarnation: its rows would give way to rows that are dead.
        """
        slots = [slot_of(write.aor) for write in writes]
        with self._writing() as db:
            forgotten = db.execute(_RENEW, (server, incarnation)).rowcount == 0
            if forgotten and db.execute(_BEGIN_AGAIN, (server, incarnation)).rowcount == 0:
                raise _replaced(self.path, server)
            before = [self.versions.values[slot] for slot in slots]
            puts = sum(len(write.put) for write in writes)
            number = db.execute(_NUMBERS, (puts,)).fetchone()[0] - puts if puts else 0
            lost = []
            cursor = db.cursor()
            for write in writes:
                lost.append(_carry_out(cursor, write, number))
                number += len(write.put)
        after = self.versions.mark(set(slots))
        results = [WriteResult(gone, version, after) for gone, version in zip(lost, before, strict=True)]
        return results, forgotten

    def renewals(self) -> Mapping[str, tuple[int, int]]:
        """Give the incarnation of each server, and how often it has renewed its lease."""
        try:
            return {server: (number, count) for server, number, count in self._db.execute("SELECT * FROM incarnations")}
        except sqlite3.Error as wrong:
            raise _unusable(self.path, wrong) from wrong

    def close(self) -> None:
        """Let go of the file; the rows stay."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that takes the write lock at its beginning, so that it never has to be tried again."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except _FAULTS_OF_OURS as wrong:
            raise LocalError(f"a row that cannot be stored: {wrong}") from wrong
        except sqlite3.Error as wrong:
            raise _unusable(self.path, wrong) from wrong
        finally:
            if self._db.in_transaction:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")


def _carry_out(db: sqlite3.Cursor, write: Write, number: int) -> frozenset[BindingKey]:
    """Make one write inside a transaction; gives the rows that newer rows have replaced. *number* is that of the last row."""
    for row in write.drop:
        db.execute(_DROP, (*map(_plain, row.key), row.token))
    lost: list[BindingKey] = []
    for position, row in enumerate(write.put, number + 1):
        if _put(db, _RESTORE if write.restores else _PUT, row, position) == 0:
            lost.append(row.key)
    return frozenset(lost) if lost else NOTHING_LOST


def _put(db: sqlite3.Cursor, statement: str, row: Binding, number: int) -> int:
    """Store one row; gives 0 if it gave way. Its text is looked at only if SQLite refuses it."""
    values = (row.key.name, number, *_values_of(row))
    try:
        return db.execute(statement, values).rowcount
    except UnicodeEncodeError:
        return db.execute(statement, [_plain(value) if isinstance(value, str) else value for value in values]).rowcount


def _plain(text: str) -> str:
    """Make text of a message fit for SQLite, which takes no lone surrogates; bytes that were no UTF-8 show as escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _open(path: Path, versions: VersionTable | None) -> tuple[sqlite3.Connection, str, VersionTable]:
    """Open the file; gives the connection, the identity of the store, and its versions."""
    try:
        with _alone(path.with_name(f"{path.name}.lock")):
            db = _sound(path)
            return db, _identity(db), versions or _versions(_versions_file(path))
    except (OSError, sqlite3.Error) as wrong:
        raise _unusable(path, wrong) from wrong


def _sound(path: Path) -> sqlite3.Connection:
    """Connect; a file of ours that cannot be read, or that an earlier release has made, is set aside, and a new one is made."""
    try:
        return _connect(path)
    except sqlite3.OperationalError:
        raise
    except _EarlierFormatError:
        _set_aside(path)
        return _connect(path)
    except sqlite3.DatabaseError as wrong:
        if not VersionTable.is_there(_versions_file(path)):  # it was made when a store of ours was opened here
            raise _not_ours(path, f"it is no file of registrations ({wrong})") from wrong
        _set_aside(path)
        return _connect(path)


def _versions(path: Path) -> VersionTable:
    """Open the table of versions; a new one beside rows that are there already says nothing about them yet."""
    versions = VersionTable(path)
    if versions.is_new:
        versions.mark_all()
    return versions


def _versions_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.versions")


def _not_ours(path: Path, why: str) -> OperatorError:
    remedy = "name another file in `storage.bindings`; or move this file away if nothing needs it"
    return OperatorError("the registrations cannot be stored", (Problem(path, 0, "", why, remedy),))


def _unusable(path: Path, wrong: Exception) -> OperatorError:
    remedy = "allow the user of sipmesh to write to this file and its folder, and check the free space of the disk"
    return OperatorError(
        "the registrations cannot be stored", (Problem(path, 0, "", f"cannot be used: {wrong}", remedy),)
    )


def _replaced(path: Path, server: str) -> OperatorError:
    reason = f"another process has started {server} with these registrations"
    return OperatorError(
        "the registrations cannot be stored",
        (Problem(path, 0, "", reason, f"stop one of the two processes of {server}"),),
    )


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Keep other processes from opening, and perhaps setting aside, the same file in the same moment."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    create_private(path)
    db = sqlite3.connect(path, timeout=OPENING_S, isolation_level=None, check_same_thread=False)
    try:
        _must_be_ours(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        _check(db, path)
        db.executescript(_SCHEMA)
        _reserve(db, path)
        db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
    except BaseException:
        db.close()
        raise
    return db


def _reserve(db: sqlite3.Connection, path: Path) -> None:
    """Take the room on the disk that registrations need; where it is missing, they are stored as long as there is some.

    SQLite removes the log with the last connection, so each start takes its room again.
    """
    disk = os.statvfs(path)
    if disk.f_bavail * disk.f_frsize < LEAST_FREE:
        return
    with suppress(OSError):
        _allocate(path.with_name(f"{path.name}-wal"))
    [free], [size] = (db.execute(f"PRAGMA {name}").fetchone() for name in ("freelist_count", "page_size"))
    if free * size < ROOM // 2:
        with suppress(sqlite3.OperationalError):
            db.execute("BEGIN IMMEDIATE")
            db.execute("CREATE TABLE room (octets BLOB)")
            db.execute("INSERT INTO room VALUES (zeroblob(?))", (ROOM,))
            db.execute("DROP TABLE room")
            db.execute("COMMIT")
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if db.in_transaction:
            db.execute("ROLLBACK")


def _allocate(log: Path) -> None:
    """Give the log its room; SQLite passes over what is behind its last frame. It holds no lock on this file."""
    descriptor = os.open(log, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, LOG_ROOM)
    finally:
        os.close(descriptor)


def _must_be_ours(db: sqlite3.Connection, path: Path) -> None:
    """Raise `OperatorError` for a database of another program, before anything is written to it."""
    [application] = db.execute("PRAGMA application_id").fetchone()
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and application != APPLICATION_ID and not tables >= {"bindings", "incarnations"}:
        raise _not_ours(path, f"it is a database of another program: it has the table {min(tables)!a}")


def _identity(db: sqlite3.Connection) -> str:
    """A random name that the store has had since it was made: two servers that tell the same one share it."""
    db.execute("INSERT OR IGNORE INTO store VALUES (1, ?, 0)", (secrets.token_hex(16),))
    [identity] = db.execute("SELECT identity FROM store").fetchone()
    return str(identity)


def _check(db: sqlite3.Connection, path: Path) -> None:
    """Raise `DatabaseError` for a file that is spoiled, `_EarlierFormatError` for a file of an earlier release.

    A file of a newer release is no fault of the file: it raises `OperatorError`, so that the rows of other servers stay.
    """
    [version] = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise _newer(version, path)
    [health] = db.execute("PRAGMA quick_check(1)").fetchone()
    if health != "ok":
        raise sqlite3.DatabaseError(health)
    if 0 < version < SCHEMA_VERSION:
        raise _EarlierFormatError(f"version {version}")


class _EarlierFormatError(sqlite3.DatabaseError):
    """A file whose tables are those of an earlier release of ours: it has no file of versions beside it, or an older one."""


def _newer(version: int, path: Path) -> OperatorError:
    remedy = (
        f"install the release that wrote them, or a newer one; or stop every server of the pool, and remove {path}: phones "
        "register again"
    )
    return OperatorError(
        f"the registrations have format {version}, and this release of sipmesh knows formats up to {SCHEMA_VERSION}; {remedy}"
    )


def _set_aside(path: Path) -> None:
    """Move a spoiled file out of the way. A process that has it open uses it until its next start."""
    path.replace(path.with_name(f"{path.name}.spoiled"))
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()
