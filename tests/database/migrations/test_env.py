"""Alembic runs each revision on the given connection, in one transaction, and notes it in the table of the schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from database.migrations.adoption import migrate
from sipmesh.database.schema import Schema
from sipmesh.errors import OperatorError
from storage.databases import shell

REVISION = """
from alembic import op
revision, down_revision = "{number:04}", {before}
def upgrade():
    op.execute("{statement}")
"""


def schema(folder: Path, *statements: str) -> Schema:
    """A schema with a revision for each statement."""
    for number, statement in enumerate(statements, 1):
        before = f'"{number - 1:04}"' if number > 1 else None
        text = REVISION.format(number=number, before=before, statement=statement)
        (folder / f"v{number:04}.py").write_text(text)
    return Schema("things", f"{len(statements):04}", folder)


def tables(url: str) -> set[str]:
    with shell(url) as db:
        names = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
        if db.dialect.name == "sqlite":
            names = "SELECT name FROM sqlite_master WHERE type = 'table'"
        return {str(name) for (name,) in db.exec_driver_sql(names)}


def test_revision_is_noted_in_the_table_of_the_schema(url: str, tmp_path: Path) -> None:
    migrate(url, schema(tmp_path, "CREATE TABLE one (name TEXT)", "CREATE TABLE two (name TEXT)"))
    assert {"one", "two", "things_schema"} <= tables(url)
    with shell(url) as db:
        assert list(db.exec_driver_sql("SELECT version_num FROM things_schema")) == [("0002",)]


def test_revision_that_fails_leaves_nothing_of_the_revision_before(url: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError):
        migrate(url, schema(tmp_path, "CREATE TABLE one (name TEXT)", "SELECT * FROM nowhere"))
    assert not {"one", "things_schema"} & tables(url)
