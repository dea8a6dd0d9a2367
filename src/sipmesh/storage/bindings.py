"""The bindings of the servers of one host, in one SQLite file that they share.

A flow ends with its process, so no binding has to survive a crash of the machine: there is no fsync (synchronous=OFF). The end
of one process loses nothing: what it has committed is in the page cache, which all processes share. A file that a power cut has
damaged is set aside at the next start.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path

from sipmesh.errors import OperatorError, Problem
from sipmesh.routing.registrar.binding import Binding, Changes

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 1.0
"""Seconds that one server waits while another one writes; a write takes some tens of microseconds."""

MOST_KEPT = 10_000
"""Users whose rows are cached in memory; each takes about 1 KiB."""

_COLUMNS = tuple(field.name for field in fields(Binding))
_LIST = ", ".join(_COLUMNS)

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS incarnations (server TEXT PRIMARY KEY, incarnation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bindings (
  aor TEXT NOT NULL, name TEXT NOT NULL, contact TEXT NOT NULL, instance TEXT, reg_id INTEGER, q REAL NOT NULL,
  call_id TEXT NOT NULL, cseq INTEGER NOT NULL, server TEXT NOT NULL, incarnation INTEGER NOT NULL, flow INTEGER NOT NULL,
  token TEXT NOT NULL, expires_at REAL NOT NULL, user_agent TEXT NOT NULL,
  PRIMARY KEY (aor, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS bindings_by_flow ON bindings (server, incarnation, flow);
CREATE INDEX IF NOT EXISTS bindings_by_end ON bindings (expires_at);
CREATE TABLE IF NOT EXISTS store (only INTEGER PRIMARY KEY CHECK (only = 1), identity TEXT NOT NULL);
PRAGMA user_version = {SCHEMA_VERSION};
"""

_OF = f"""
SELECT {_LIST} FROM bindings JOIN incarnations USING (server, incarnation)
WHERE aor = ? ORDER BY q DESC, expires_at DESC
"""  # noqa: S608 - the columns are the names of our own record

# Two servers may process registrations of one device at the same time: for one Call-ID the higher CSeq wins (RFC 3261 10.3).
_PUT = f"""
INSERT INTO bindings (name, {_LIST}) VALUES (?{", ?" * len(_COLUMNS)})
ON CONFLICT (aor, name) DO UPDATE SET {", ".join(f"{column} = excluded.{column}" for column in _COLUMNS[1:])}
WHERE call_id <> excluded.call_id OR cseq < excluded.cseq
"""  # noqa: S608 - the columns are the names of our own record

_ON_SERVER = f"""
SELECT {_LIST} FROM bindings JOIN incarnations USING (server, incarnation)
WHERE (aor, name) > (?, ?) AND server = ? AND expires_at > ? ORDER BY aor, name LIMIT ?
"""  # noqa: S608 - the columns are the names of our own record
_COUNT = "SELECT COUNT(*) FROM bindings JOIN incarnations USING (server, incarnation) WHERE server = ?"

_DROP = "DELETE FROM bindings WHERE aor = ? AND name = ?"
_DROP_FLOW = "DELETE FROM bindings WHERE server = ? AND incarnation = ? AND flow = ? RETURNING aor"
_FORGET = "DELETE FROM bindings WHERE aor = ? AND name = ? AND token = ?"
_EXPIRE = "DELETE FROM bindings WHERE expires_at <= ?"
_DROP_INCARNATIONS = "DELETE FROM bindings WHERE server = ? AND incarnation <> ?"
_BEGIN = "INSERT INTO incarnations VALUES (?, ?) ON CONFLICT (server) DO UPDATE SET incarnation = excluded.incarnation"


class BindingStore:
    """`Locations` for the servers of one host; only the thread that created the object may use it.

    Rows are cached until this server or another one writes to the file: SQLite's data_version shows that.
    """

    __slots__ = ("_cache", "_db", "_version", "identity", "path")

    def __init__(self, path: Path) -> None:
        """Open or create the file; raises `OperatorError` if the folder or the file cannot be used."""
        self.path = path
        self._db, self.identity = _open(path)
        self._cache: dict[str, list[Binding]] = {}
        self._version = 0

    def __repr__(self) -> str:
        return f"<BindingStore {self.path}>"

    def begin(self, server: str, incarnation: int) -> int:
        """Start *incarnation* of *server*: bindings of earlier incarnations are dropped; returns their number."""
        with self._writing() as db:
            db.execute(_BEGIN, (server, incarnation))
            return db.execute(_DROP_INCARNATIONS, (server, incarnation)).rowcount

    def of(self, aor: str, at: float) -> list[Binding]:
        """Return the unexpired bindings of one address of record: highest q first, and for equal q the latest expiry first."""
        try:
            rows = self._rows(_plain(aor))
        except sqlite3.Error as wrong:
            raise _unusable(self.path, wrong) from wrong
        return [row for row in rows if row.expires_at > at]

    def _rows(self, aor: str) -> list[Binding]:
        [version] = self._db.execute("PRAGMA data_version").fetchone()  # "changes made by any other connection"
        if version != self._version or len(self._cache) >= MOST_KEPT:
            self._cache.clear()
            self._version = version
        rows = self._cache.get(aor)
        if rows is None:
            rows = self._cache[aor] = [Binding(*row) for row in self._db.execute(_OF, (aor,))]
        return rows

    def on_server(self, server: str, at: float, most: int, after: tuple[str, str] = ("", "")) -> list[Binding]:
        """Return at most *most* unexpired bindings of one server, ordered by key, that come after the key *after*."""
        try:
            return [Binding(*row) for row in self._db.execute(_ON_SERVER, (*map(_plain, after), server, at, most))]
        except sqlite3.Error as wrong:
            raise _unusable(self.path, wrong) from wrong

    def count(self, server: str) -> int:
        """Count the bindings of one server; those that have expired since the last `expire` are included."""
        try:
            [count] = self._db.execute(_COUNT, (server,)).fetchone()
        except sqlite3.Error as wrong:
            raise _unusable(self.path, wrong) from wrong
        return int(count)

    def apply(self, changes: Changes) -> None:
        """Store the changes of a registration, all or none."""
        with self._writing() as db:
            db.executemany(_DROP, [tuple(map(_plain, key)) for key in changes.drop])
            db.executemany(_PUT, map(_row, changes.put))

    def drop(self, server: str, incarnation: int, flow: int) -> list[str]:
        """Drop the bindings of a closed flow; returns their addresses of record."""
        with self._writing() as db:
            return sorted({aor for (aor,) in db.execute(_DROP_FLOW, (server, incarnation, flow)).fetchall()})

    def forget(self, stale: Iterable[Binding]) -> None:
        """Drop bindings whose flow does not exist any more, unless the device has registered again meanwhile."""
        with self._writing() as db:
            db.executemany(_FORGET, [(*map(_plain, row.key), row.token) for row in stale])

    def expire(self, at: float) -> int:
        """Drop the expired bindings; returns their number."""
        with self._writing() as db:
            return db.execute(_EXPIRE, (at,)).rowcount

    def close(self) -> None:
        """Close the store; the bindings stay."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction that takes the write lock at its start, so that it never has to be repeated."""
        self._cache.clear()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.Error as wrong:
            raise _unusable(self.path, wrong) from wrong
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def _plain(text: str) -> str:
    """Make text of a message usable for SQLite, which accepts no lone surrogates; invalid UTF-8 becomes escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _row(binding: Binding) -> tuple[object, ...]:
    values = (getattr(binding, column) for column in _COLUMNS)
    return (_plain(binding.key.name), *(_plain(value) if isinstance(value, str) else value for value in values))


def _open(path: Path) -> tuple[sqlite3.Connection, str]:
    """Open the file; return the connection and the identity of the store."""
    try:
        with _alone(path.with_name(f"{path.name}.lock")):
            try:
                db = _connect(path)
            except sqlite3.DatabaseError as wrong:
                if isinstance(wrong, sqlite3.OperationalError):
                    raise
                _set_aside(path)
                db = _connect(path)
            return db, _identity(db)
    except (OSError, sqlite3.Error) as wrong:
        raise _unusable(path, wrong) from wrong


def _unusable(path: Path, wrong: Exception) -> OperatorError:
    remedy = "allow the user of sipmesh to write to this file and its folder, and check the free space of the disk"
    return OperatorError(
        "the registrations cannot be stored", (Problem(path, 0, "", f"cannot be used: {wrong}", remedy),)
    )


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Keep other processes from opening the same file, and perhaps setting it aside, at the same time."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite itself would use the umask
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        _check(db)
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def _identity(db: sqlite3.Connection) -> str:
    """Return the random identity of the store: servers with the same identity share the store."""
    db.execute("INSERT OR IGNORE INTO store VALUES (1, ?)", (secrets.token_hex(16),))
    [identity] = db.execute("SELECT identity FROM store").fetchone()
    return str(identity)


def _check(db: sqlite3.Connection) -> None:
    """Raise `DatabaseError` for a damaged file, and for the schema of another release."""
    [version] = db.execute("PRAGMA user_version").fetchone()
    [health] = db.execute("PRAGMA quick_check(1)").fetchone()
    if version not in {0, SCHEMA_VERSION} or health != "ok":
        raise sqlite3.DatabaseError(f"version {version}, {health}")


def _set_aside(path: Path) -> None:
    """Rename a damaged file; a process that has it open continues with it until its next start."""
    path.replace(path.with_name(f"{path.name}.spoiled"))
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()
