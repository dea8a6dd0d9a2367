"""A database by its path or URL: SQLite in a file that its owner alone can read, or another that SQLAlchemy knows.

A file survives a power cut: what was committed is on the disk. Several processes may use it at once.
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

_SETTING_UP = 5061  # the key of a lock: any number that nobody else's program in this database takes


class Database:
    """One database; *what* is what an operator calls it, such as ``users``."""

    __slots__ = ("engine", "file", "what", "where")

    def __init__(self, url: str | Path, what: str) -> None:
        """Find the database; a path means SQLite, in a file that is made. Raises `OperatorError` where it cannot be used.

        *where* is its name without its password, *file* is None where it is not SQLite in one.
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
        """Translate the database's errors; their text may hold SQL, but never values (hide_parameters)."""
        try:
            yield
        except SQLAlchemyError as wrong:
            raise self._unusable(self.where, wrong) from wrong

    @contextmanager
    def setting_up(self) -> Iterator[sql.Connection]:
        """Begin to make tables and triggers that may be there already; several processes may do so at the same time."""
        with self.border(), self.engine.begin() as db:
            if db.dialect.name == "postgresql":  # where CREATE OR REPLACE fails beside another of the same
                db.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SETTING_UP})")
            yield db

    def close(self) -> None:
        """Let go of the database; a connection that another thread is using is closed once it is done."""
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
        # Opened anew for each use, of which there is one a second: a connection that is kept in a pool outlives a `close` that
        # meets another use, and a server of the database that has ended since.
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
        """Make the file with mode 0600, which SQLite's own files beside it take over."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as wrong:
            raise self._unusable(str(path), wrong) from wrong

    def _unusable(self, where: str, wrong: Exception) -> OperatorError:
        reason = f"{type(wrong).__name__}: {getattr(wrong, 'orig', None) or wrong}"
        remedy = "check that the database exists and accepts the login of sipmesh"
        return OperatorError(f"the {self.what} in {where} cannot be used: {reason}; {remedy}")


def _set_up_sqlite(connection: Any, _: object) -> None:
    """Make every connection durable: what was reported as done survives a power cut."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
