"""Append-only tables, for any table with a rising number."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from sipmesh.database.connection import Database
from sipmesh.storage.append_only import guard
from storage.databases import only_postgresql, only_sqlite


@pytest.fixture(name="db")
def _db(url: str) -> Iterator[sql.Connection]:
    database = Database(url, "things")
    with database.engine.connect() as db:
        db.execute(sql.text("CREATE TABLE things (number INTEGER PRIMARY KEY, what TEXT)"))
        guard(db, "things", "number")
        guard(db, "things", "number")
        db.execute(sql.text("INSERT INTO things VALUES (1, 'a'), (2, 'b')"))
        yield db
    database.close()


def rows(db: sql.Connection) -> list[tuple[int, str]]:
    return [(number, what) for number, what in db.execute(sql.text("SELECT number, what FROM things ORDER BY number"))]


def refused(db: sql.Connection, statement: str) -> None:
    with pytest.raises(IntegrityError, match="only ever added to"), db.begin_nested():
        db.execute(sql.text(statement))
    assert rows(db) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE things SET what = 'c' WHERE number = 2",
        "UPDATE things SET number = 9 WHERE number = 2",
        "DELETE FROM things",
        "INSERT INTO things VALUES (0, 'c')",
        "INSERT INTO things VALUES (4, 'c'), (3, 'd')",
        "INSERT INTO things VALUES (2, 'c') ON CONFLICT (number) DO UPDATE SET what = 'c'",
    ],
)
def test_existing_rows_cannot_be_changed(db: sql.Connection, statement: str) -> None:
    refused(db, statement)


@only_sqlite
@pytest.mark.parametrize(
    "statement", ["INSERT OR REPLACE INTO things VALUES (2, 'c')", "REPLACE INTO things VALUES (1, 'c')"]
)
def test_row_cannot_be_replaced_in_sqlite(db: sql.Connection, statement: str) -> None:
    refused(db, statement)


@only_postgresql
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE things",
        "WITH gone AS (DELETE FROM things RETURNING number) SELECT number FROM gone",
    ],
)
def test_table_cannot_be_truncated_in_postgresql(db: sql.Connection, statement: str) -> None:
    refused(db, statement)


def test_rows_are_added_at_the_end(db: sql.Connection) -> None:
    db.execute(sql.text("INSERT INTO things VALUES (3, 'c'), (9, 'd')"))
    assert rows(db) == [(1, "a"), (2, "b"), (3, "c"), (9, "d")]
