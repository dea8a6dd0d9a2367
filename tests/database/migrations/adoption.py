"""Databases as the last release without revisions made them, and how tables differ from those that the code expects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

import sqlalchemy as sql
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sipmesh.database.connection import Database
from storage.databases import shell

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sipmesh.database.schema import Schema

EARLIER = Path(__file__).with_name("earlier")
"""The statements of that release, by dialect and schema; written by it."""


def make_earlier(url: str, schema: Schema, *rows: str) -> None:
    """Make the tables of that release, with *rows* (statements)."""
    with shell(url) as db:
        for statement in (*statements(db.dialect.name, schema), *rows):
            db.exec_driver_sql(statement)


def statements(dialect: str, schema: Schema) -> Sequence[str]:
    """Return the statements that made the tables."""
    found: Sequence[str] = json.loads((EARLIER / f"{dialect}.json").read_text())[schema.name]
    return found


def migrate(url: str, schema: Schema) -> None:
    """Open the database as a store does."""
    database = Database(url, schema.name)
    database.migrate(schema)
    database.close()


def differences(url: str, schema: Schema, *expected: sql.MetaData) -> Sequence[Any]:
    """Return how the tables in the database differ from *expected*."""
    metadata = sql.MetaData()
    for one in expected:
        for table in one.tables.values():
            table.to_metadata(metadata)
    with shell(url) as db:
        options = {
            "version_table": schema.version_table,
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, kind, _: kind != "table" or not name.endswith("_schema"),
        }
        with catch_warnings():
            filterwarnings("ignore", message=".*expression-based index")  # SQLite cannot tell
            found: Sequence[Any] = compare_metadata(MigrationContext.configure(db, opts=options), metadata)
    return found


def made_in(url: str, but: Collection[str] = ()) -> set[tuple[object, ...]]:
    """Return the definition of each column, index, constraint and trigger in the database, without the tables in *but*."""
    with shell(url) as db:
        found = {tuple(row) for query in _MADE[db.dialect.name] for row in db.exec_driver_sql(query)}
    return {row for row in found if row[0] not in but}


_MADE = {
    "sqlite": ("SELECT tbl_name, type, name, sql FROM sqlite_master",),
    "postgresql": (
        (
            "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        ),
        "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0",
        "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    ),
}
