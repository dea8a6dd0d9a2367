"""A database by its path or URL: SQLite in a file that only its owner can read, or another that SQLAlchemy supports.

What was committed to a file survives a power cut. Several processes may use a database at the same time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sipmesh.errors import OperatorError

_DISK = ("disk is full", "disk I/O error", "No space left")
_SETTING_UP = 5061  # the key of a lock: any number that no other program uses in this database


class Database:
    """One database; *what* is the operator's name for it, such as ``users``."""

    __slots__ = ("engine", "file", "what", "where")

    def __init__(self, url: str | Path, what: str) -> None:
        """Find the database; a path means SQLite, and the file is created. Raises `OperatorError` if it cannot be used.

        *where* is its URL without the password; *file* is None unless it is an SQLite file.
        """
        self.what = what
        parsed = self._parsed(url)
        self.where = parsed.render_as_string(hide_password=True)
        self.file = Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None
        self.engine = self._engine(parsed)

    def __repr__(self) -> str:
        return f"<Database {self.what} {self.where}>"

    @contextmanager
    def border(self) -> Iterator[None]:
        """Translate the errors of the database to `OperatorError`; their text may contain SQL, but never values."""
        try:
            yield
        except SQLAlchemyError as wrong:
            raise self._unusable(self.where, wrong) from wrong

    @contextmanager
    def setting_up(self) -> Iterator[sql.Connection]:
        """Start a transaction that creates missing tables and triggers; several processes may do so at the same time."""
        with self.border(), self.engine.begin() as db:
            if db.dialect.name == "postgresql":  # CREATE OR REPLACE fails there if another process runs it too
                db.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SETTING_UP})")
            yield db

    def close(self) -> None:
        """Close the database; a connection that another thread uses is closed after that use."""
        self.engine.dispose()

    def _parsed(self, url: str | Path) -> sql.URL:
        if isinstance(url, Path):
            return sql.URL.create("sqlite", database=str(url))
        try:
            return sql.make_url(url)
        except ArgumentError as wrong:
            remedy = "write the URL as postgresql+psycopg://…"
            raise OperatorError(f"the URL of the {self.what} database cannot be read; {remedy}") from wrong

    def _engine(self, parsed: sql.URL) -> sql.Engine:
        if self.file is not None:
            self._create_private(self.file)
        # A new connection for each use, about one a second. A pooled connection could stay open after a `close` during another
        # use, and would not notice that the database server was restarted.
        try:
            engine = sql.create_engine(parsed, hide_parameters=True, poolclass=sql.NullPool)
        except ImportError as wrong:
            remedy = "write the URL as postgresql+psycopg://…, and install the driver: pip install '.[postgresql]'"
            raise OperatorError(f"the {self.what} in {self.where} cannot be used: {wrong}; {remedy}") from wrong
        except SQLAlchemyError as wrong:
            raise self._unusable(self.where, wrong) from wrong
        if parsed.get_backend_name() == "sqlite":
            sql.event.listen(engine, "connect", _set_up_sqlite)
        return engine

    def _create_private(self, path: Path) -> None:
        """Create the file with mode 0600; SQLite gives the same mode to its other files."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as wrong:
            raise self._unusable(str(path), wrong) from wrong

    def _unusable(self, where: str, wrong: Exception) -> OperatorError:
        reason = f"{type(wrong).__name__}: {getattr(wrong, 'orig', None) or wrong}"
        remedy = self._remedy(reason)
        return OperatorError(f"the {self.what} in {where} cannot be used: {reason}; {remedy}")

    def _remedy(self, reason: str) -> str:
        """Return what the operator does; SQLite says only in words that a disk is full, or that a write has failed."""
        if self.file is not None and any(words in reason for words in _DISK):
            return f"make room on the disk of {self.file.parent}, or replace the disk if it has failed"
        return "check that the database exists and accepts the login of sipmesh"


def _set_up_sqlite(connection: Any, _: object) -> None:
    """Make every connection durable: a committed change survives a power cut."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
