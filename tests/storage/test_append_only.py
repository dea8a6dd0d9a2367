"""Rows are copied into an empty table only. That rows are only added is tested with the tables of management."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sql

from sipmesh.errors import OperatorError
from sipmesh.storage.append_only import copy_rows

THINGS = sql.Table(
    "things", sql.MetaData(), sql.Column("number", sql.Integer, primary_key=True), sql.Column("what", sql.Text)
)


@pytest.fixture(name="both")
def _both(tmp_path: Path) -> Iterator[tuple[sql.Connection, sql.Connection]]:
    """Two databases, with rows in the first."""
    engines = [sql.create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in "ab"]
    with engines[0].connect() as source, engines[1].connect() as target:
        for db in (source, target):
            THINGS.metadata.create_all(db)
        source.execute(THINGS.insert(), [{"number": 2, "what": "b"}, {"number": 1, "what": "a"}])
        yield source, target
    for engine in engines:
        engine.dispose()


def rows(db: sql.Connection) -> list[tuple[int, str]]:
    return [(number, what) for number, what in db.execute(sql.select(THINGS).order_by(THINGS.c.number))]


def test_rows_are_copied_once(both: tuple[sql.Connection, sql.Connection]) -> None:
    for _ in range(2):
        copy_rows(*both, THINGS, THINGS.c.number)
    assert rows(both[1]) == [(1, "a"), (2, "b")]


def test_other_rows_are_not_mixed(both: tuple[sql.Connection, sql.Connection]) -> None:
    both[1].execute(THINGS.insert(), [{"number": 1, "what": "other"}])
    with pytest.raises(OperatorError, match="has 1 rows in things, and they differ; name an empty database"):
        copy_rows(*both, THINGS, THINGS.c.number)
    assert rows(both[1]) == [(1, "other")]
