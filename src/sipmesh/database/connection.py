"""A database by its path or URL: SQLite in a file that only its owner can read, or another that SQLAlchemy supports.

What was committed to a file survives a power cut. Several processes may use a database at the same time. A PostgreSQL server
that does not answer delays no caller for longer than its `DatabaseTimeouts`.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from sipmesh.database.lazy_module import sql
from sipmesh.database.masked import masked
from sipmesh.database.migration import migrate
from sipmesh.database.private_file import create_private
from sipmesh.database.schema import Schema, must_be_ours
from sipmesh.errors import OperatorError, UnusableDatabaseError

_DISK = ("disk is full", "disk I/O error", "No space left")
NO_ENCODING: Final = "SQL_ASCII"
_REMEDIES: Final = {
    "no password supplied": "write the password into ~/.pgpass (mode 0600) of the user that runs sipmesh, or name a file with"
    " ?passfile=",
    "permission denied for schema": "make the user of sipmesh the owner of the database: ALTER DATABASE … OWNER TO …",
    "read-only transaction": "name the primary in the URL, such as by ?target_session_attrs=read-write",
    "has no equivalent in encoding": "create the database again with ENCODING 'UTF8', and copy its content",
}
"""What the operator does, by the words of PostgreSQL."""
OPENING_S: Final = 5.0
"""Seconds to wait for another process that writes the file."""

STATEMENTS: Final = 500
"""How many compiled statements a process keeps for its SQLite files."""

_SLOW = ("timeout", "did not answer")

SQLITE_FILE: Final = "sqlite:///"
"""The beginning of a URL that names a file; the file has no parameters behind it."""


@dataclass(frozen=True, slots=True)
class DatabaseTimeouts:
    """How long one use of a PostgreSQL server may take, in seconds; *connect_s* counts in whole seconds from 2.

    The server applies *statement_s*, *lock_s* and *idle_s*: after *idle_s* without a statement it ends a transaction, so that a
    process that hangs loses its locks. *use_s* holds also if the server itself hangs: then the connection is closed here.
    """

    connect_s: int = 5
    statement_s: float = 10.0
    lock_s: float = 5.0
    idle_s: float = 4.0
    use_s: float = 20.0

    @property
    def settings(self) -> str:
        """The options of the server for one session (libpq ``options``)."""
        given = {
            "statement_timeout": self.statement_s,
            "lock_timeout": self.lock_s,
            "idle_in_transaction_session_timeout": self.idle_s,
        }
        return " ".join(f"-c {name}={round(seconds * 1000)}" for name, seconds in given.items())


TIMEOUTS: Final = DatabaseTimeouts()


_NAMES: Final = """SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'
UNION SELECT 'users.' || name FROM pragma_table_info('users')"""


class Database:
    """One database; *what* is the operator's name for it, such as ``users``."""

    __slots__ = ("_late", "_migrated", "_timeouts", "engine", "file", "what", "where")

    def __init__(self, url: str | Path, what: str, timeouts: DatabaseTimeouts = TIMEOUTS) -> None:
        """Find the database; a path means SQLite, and the file is created. Raises `OperatorError` if it cannot be used.

        *where* is its URL without the password; *file* is None unless it is an SQLite file. *timeouts* are those of PostgreSQL.
        """
        self.what, self._timeouts, self._late = what, timeouts, threading.local()
        self._migrated: set[Schema] = set()
        parsed = self._parsed(url)
        self.where = masked(parsed.render_as_string(hide_password=True))
        self.file = Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None
        self.engine = self._engine(parsed)

    @contextmanager
    def border(self) -> Iterator[None]:
        """Translate the errors of the database to `OperatorError`; their text may contain SQL, but never values."""
        try:
            yield
        except (sql.exc.SQLAlchemyError, UnicodeError) as wrong:
            raise self._unusable(self.where, wrong) from wrong

    def migrate(self, schema: Schema) -> None:
        """Bring the tables of *schema* to its newest revision (`sipmesh.database.migration.migrate`).

        The stores that share this object ask the database once. Raises `OperatorError` if the database cannot be used, or was
        migrated by a newer release.
        """
        if schema not in self._migrated:
            with self.border():
                migrate(self.engine, schema)
            self._migrated.add(schema)

    def close(self) -> None:
        """Close the database; a connection that another thread uses is closed after that use."""
        self.engine.dispose()

    def _parsed(self, url: str | Path) -> sql.URL:
        """Read a URL. The path of an SQLite file is taken as it is, with any characters, such as ``?`` and ``%``."""
        if isinstance(url, Path) or url.startswith(SQLITE_FILE):
            return sql.URL.create("sqlite", database=str(url).removeprefix(SQLITE_FILE))
        try:
            return sql.make_url(url)
        except sql.exc.ArgumentError as wrong:
            remedy = "write the URL as postgresql+psycopg://…"
            raise OperatorError(f"the URL of the {self.what} database cannot be read; {remedy}") from wrong

    def _engine(self, parsed: sql.URL) -> sql.Engine:
        if self.file is not None:
            self._create_private(self.file)
            self._must_be_ours(self.file)
        # A new connection for each use, about one a second. A pooled connection could stay open after a `close` during another
        # use, and would not notice that the database server was restarted.
        if self.file is not None:
            return _engine_of_file(parsed)
        try:
            engine = sql.create_engine(self._bounded(parsed), hide_parameters=True, poolclass=sql.NullPool)
        except ImportError as wrong:
            remedy = (
                "write the URL as postgresql+psycopg://…, and install the driver: pip install 'psycopg[binary]>=3.2'"
            )
            raise OperatorError(f"the {self.what} in {self.where} cannot be used: {wrong}; {remedy}") from wrong
        except sql.exc.SQLAlchemyError as wrong:
            raise self._unusable(self.where, wrong) from wrong
        if parsed.drivername == _PSYCOPG:
            # Before all others: with the first connection, SQLAlchemy asks the server what it is and which types it has.
            sql.event.listen(engine, "connect", self._begin_use, insert=True)
            sql.event.listen(engine, "close", _end_use)
        return engine

    def _bounded(self, parsed: sql.URL) -> sql.URL:
        """Return the URL with our time-outs; those that the operator has written into it stay in force."""
        if parsed.drivername != _PSYCOPG:
            return parsed
        options = parsed.query.get("options", "")
        ours = {
            "connect_timeout": str(self._timeouts.connect_s),
            "client_encoding": "utf8",  # the server converts: with an encoding of its own, a text would come as octets
            "options": " ".join([self._timeouts.settings, options if isinstance(options, str) else " ".join(options)]),
        }
        return parsed.update_query_dict({**ours, **{k: v for k, v in parsed.query.items() if k != "options"}})

    def _begin_use(self, connection: Any, record: Any) -> None:
        """Close the connection in *use_s* seconds, from another thread, if it is still in use then."""
        self._must_have_encoding(connection)
        self._late.ended = ended = threading.Event()
        record.info["use"] = use = _Use(os.dup(connection.fileno()), self._timeouts.use_s, ended)
        use.start()

    def _must_have_encoding(self, connection: Any) -> None:
        """Raise `OperatorError` for a database without an encoding: it stores any octets, of any client."""
        if connection.info.parameter_status("server_encoding") == NO_ENCODING:
            connection.close()
            remedy = "create it again with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and copy its content"
            raise OperatorError(
                f"the {self.what} in {self.where} cannot be used: the encoding of the database is {NO_ENCODING}; {remedy}"
            )

    def _create_private(self, path: Path) -> None:
        """Create the file with mode 0600; SQLite gives the same mode to its other files."""
        try:
            create_private(path)
        except OSError as wrong:
            raise self._unusable(str(path), wrong) from wrong

    def _must_be_ours(self, path: Path) -> None:
        """Raise `OperatorError` for an SQLite file of another program, before anything is written to it."""
        try:
            with closing(sqlite3.connect(path, timeout=OPENING_S)) as db:
                names = [name for (name,) in db.execute(_NAMES)]
        except sqlite3.Error as wrong:
            raise self._unusable(str(path), wrong) from wrong
        must_be_ours(names, f"{self.what} database {path}")

    def _unusable(self, where: str, wrong: Exception) -> UnusableDatabaseError:
        reason = " ".join(str(getattr(wrong, "orig", None) or wrong).split())
        ended: threading.Event | None = getattr(self._late, "ended", None)
        self._late.ended = None
        if ended is not None and ended.is_set():
            reason = f"it did not answer within {self._timeouts.use_s:g} s"
        remedy = self._remedy(reason)
        return UnusableDatabaseError(f"the {self.what} in {where} cannot be used: {reason}; {remedy}")

    def _remedy(self, reason: str) -> str:
        """Return what the operator does; SQLite says only in words that a disk is full, or that a write has failed."""
        if self.file is not None and any(words in reason for words in _DISK):
            return f"make room on the disk of {self.file.parent}, or replace the disk if it has failed"
        if self.file is None and any(words in reason for words in _SLOW):
            return "check the load of the database server, and the network between it and this host"
        if self.file is not None and _is_denied(self.file):
            return f"run this as the user who owns {self.file.parent}"
        for words, remedy in _REMEDIES.items():
            if self.file is None and words in reason:
                return remedy
        started = "" if self.file is not None else "start the database server, or "
        return f"{started}check that the database exists and accepts the login of sipmesh"


def _is_denied(file: Path) -> bool:
    """Tell whether this process may not read and write a file, or make it in its folder, since another user owns it."""
    allows = partial(os.access, effective_ids=True)
    if allows(file, os.F_OK):
        return not allows(file, os.R_OK | os.W_OK)
    nearest = next(folder for folder in file.absolute().parents if allows(folder, os.F_OK))
    return not allows(nearest, os.X_OK | (os.W_OK if nearest == file.absolute().parent else 0))


@cache
def _sqlite() -> tuple[sql.Dialect, sql.util.LRUCache[Any, Any]]:
    """Return what the SQLite files of a process share: the dialect, and the statements that were compiled for it.

    An engine has both for itself otherwise, and compiles each statement again: this costs more than the statement does.
    """
    engine = sql.create_engine("sqlite://", poolclass=sql.NullPool)
    engine.connect().close()  # with its first connection, a dialect asks SQLite what it can do
    return engine.dialect, sql.util.LRUCache(STATEMENTS)


def _engine_of_file(url: sql.URL) -> sql.Engine:
    dialect, compiled = _sqlite()
    arguments, options = dialect.create_connect_args(url)
    pool = sql.NullPool(partial(dialect.connect, *arguments, **options), dialect=dialect)
    sql.event.listen(pool, "connect", _set_up_sqlite)
    return sql.Engine(pool, dialect, url, hide_parameters=True, execution_options={"compiled_cache": compiled})


def _set_up_sqlite(connection: Any, _: object) -> None:
    """Make every connection durable: a committed change survives a power cut, and of a deleted row no octet is left."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


_PSYCOPG = "postgresql+psycopg"


class _Use(threading.Thread):
    """The watch over one connection: it shuts the *descriptor*, a copy of our own, after *use_s* seconds, and sets *ended*."""

    def __init__(self, descriptor: int, use_s: float, ended: threading.Event) -> None:
        super().__init__(name="database-use", daemon=True)
        self._descriptor, self._use_s, self._ended = descriptor, use_s, ended
        self._over = threading.Event()

    def run(self) -> None:
        with socket.socket(fileno=self._descriptor) as copy:
            if not self._over.wait(self._use_s):
                self._ended.set()
                with suppress(OSError):
                    copy.shutdown(socket.SHUT_RDWR)

    def over(self) -> None:
        """End the watch: the connection is closed."""
        self._over.set()


def _end_use(_: object, record: Any) -> None:
    use = record.info.pop("use", None)
    if use is not None:
        use.over()


def is_missing_file(url: str | Path) -> bool:
    """Return whether *url* names a file of SQLite that does not exist yet."""
    file = url if isinstance(url, Path) else url.removeprefix(SQLITE_FILE) if url.startswith(SQLITE_FILE) else None
    return file is not None and not Path(file).exists()
