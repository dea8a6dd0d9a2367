"""The two kinds of database that what we keep may live in, and what somebody may do there who owns it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sql

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_REAL = pytest.param(POSTGRESQL, marks=pytest.mark.peer(POSTGRESQL))
BOTH = (SQLITE, _REAL)
"""The parameters of the fixture ``url``."""

only_sqlite = pytest.mark.parametrize("url", [SQLITE], indirect=True)
only_postgresql = pytest.mark.parametrize("url", [_REAL], indirect=True)
_TRIGGERS = {
    SQLITE: "SELECT 'DROP TRIGGER ' || name FROM sqlite_master WHERE type = 'trigger'",
    POSTGRESQL: "SELECT 'DROP TRIGGER ' || tgname || ' ON ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal",
}


@contextmanager
def shell(url: str) -> Iterator[sql.Connection]:
    """A connection past our own code, as in the shell of a database; what was done is committed at the end."""
    engine = sql.create_engine(url, poolclass=sql.NullPool)
    with engine.begin() as db:
        yield db
    engine.dispose()


def run(db: sql.Connection, statement: str, **values: object) -> int:
    """Run one statement, as it stands where there are no values; returns how many rows it was about."""
    return (db.execute(sql.text(statement), values) if values else db.exec_driver_sql(statement)).rowcount


def tampered(url: str, *statements: str, **values: object) -> None:
    """What somebody does who owns the database: the triggers go first."""
    with shell(url) as db:
        for (drop,) in db.exec_driver_sql(_TRIGGERS[db.dialect.name]).all():
            db.exec_driver_sql(drop)
        for statement in statements:
            assert run(db, statement, **values), statement
