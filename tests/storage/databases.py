"""The two kinds of databases for our data, and what the owner of a database can do there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sql

from sipmesh.database.private_file import create_private
from support.tiers import wide_after

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_REAL = pytest.param(POSTGRESQL, marks=pytest.mark.peer(POSTGRESQL))
BOTH = (SQLITE, _REAL)
"""The parameters of the fixture ``url`` where the SQL is of the one or the other."""

WIDE_IN_POSTGRESQL = wide_after(1, BOTH)
"""The parameters of the fixture ``url`` of all stores: SQLAlchemy makes the SQL."""

only_sqlite = pytest.mark.parametrize("url", [SQLITE], indirect=True)
only_postgresql = pytest.mark.parametrize("url", [_REAL], indirect=True)
_TRIGGERS = {
    SQLITE: "SELECT 'DROP TRIGGER ' || name FROM sqlite_master WHERE type = 'trigger'",
    POSTGRESQL: "SELECT 'DROP TRIGGER ' || tgname || ' ON ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal",
}


@contextmanager
def shell(url: str) -> Iterator[sql.Connection]:
    """A connection without our code, as in a database shell; it commits at the end. A new file is private, as ours are."""
    parsed = sql.engine.make_url(url)
    if parsed.get_backend_name() == SQLITE and parsed.database:
        create_private(Path(parsed.database))
    engine = sql.create_engine(url, poolclass=sql.NullPool)
    with engine.begin() as db:
        yield db
    engine.dispose()


def run(db: sql.Connection, statement: str, **values: object) -> int:
    """Run one statement, unchanged if there are no values; return the number of its rows."""
    return (db.execute(sql.text(statement), values) if values else db.exec_driver_sql(statement)).rowcount


def tampered(url: str, *statements: str, **values: object) -> None:
    """Change a row as the owner of the database can: remove the triggers first."""
    with shell(url) as db:
        for (drop,) in db.exec_driver_sql(_TRIGGERS[db.dialect.name]).all():
            db.exec_driver_sql(drop)
        for statement in statements:
            assert run(db, statement, **values), statement
