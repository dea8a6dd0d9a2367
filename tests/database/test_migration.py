"""Migrations: from any revision to the newest, all or nothing, once, and without Alembic where there is nothing to do."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from database.migrations.adoption import migrate
from sipmesh.database.connection import Database
from sipmesh.database.schema import MANAGEMENT, USERS, Schema
from sipmesh.errors import OperatorError
from storage.databases import shell

_REVISION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{number}", {before}
def upgrade():
    {body}
"""
_FIRST = 'op.create_table("things", sa.Column("name", sa.Text))'
_SECOND = 'op.add_column("things", sa.Column("size", sa.Integer)); op.execute("UPDATE things SET size = 1")'
_BROKEN = 'op.execute("INSERT INTO things VALUES (\'z\', 9)"); op.execute("SELECT * FROM nowhere")'
_OPEN = """
import sys
from sipmesh.database.connection import Database
from sipmesh.database.schema import SCHEMAS
database = Database(sys.argv[1], "history")
for schema in SCHEMAS[:3]:
    database.migrate(schema)
print("alembic" in sys.modules)
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A place for revisions whose name means something to a configuration file."""
    folder = tmp_path / "50%(here)s of it"
    folder.mkdir()
    return folder


def things(folder: Path, *bodies: str) -> Schema:
    """A schema with a revision for each of *bodies*."""
    for number, body in enumerate(bodies, 1):
        before = f'"{number - 1:04}"' if number > 1 else "None"
        (folder / f"v{number:04}.py").write_text(_REVISION.format(number=f"{number:04}", before=before, body=body))
    return Schema("things", f"{len(bodies):04}", folder)


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    with shell(url) as db:
        return [tuple(row) for row in db.exec_driver_sql(statement)]


def test_newer_release_migrates_the_rows_that_are_there(url: str, folder: Path) -> None:
    migrate(url, things(folder, _FIRST))
    with shell(url) as db:
        db.exec_driver_sql("INSERT INTO things VALUES ('a')")
    for _ in range(2):
        migrate(url, things(folder, _FIRST, _SECOND))
    assert rows(url, "SELECT name, size FROM things") == [("a", 1)]
    assert rows(url, "SELECT version_num FROM things_schema") == [("0002",)]
    with pytest.raises(
        OperatorError, match="has revision 0002, and this release of sipmesh knows revisions up to 0001"
    ):
        migrate(url, things(folder, _FIRST))


def test_migration_that_fails_changes_nothing(url: str, folder: Path) -> None:
    """The two revisions are one transaction, in SQLite too. The same release with a third revision that works migrates."""
    migrate(url, things(folder, _FIRST))
    with pytest.raises(OperatorError, match=r"cannot be used: .*nowhere"):
        migrate(url, things(folder, _FIRST, _SECOND, _BROKEN))
    assert rows(url, "SELECT version_num FROM things_schema") == [("0001",)]
    with shell(url) as db:
        db.exec_driver_sql("INSERT INTO things VALUES ('a')")  # the table has one column, as before
    migrate(url, things(folder, _FIRST, _SECOND, 'op.execute("UPDATE things SET size = 2")'))
    assert rows(url, "SELECT name, size FROM things") == [("a", 2)]


def test_threads_that_open_a_database_migrate_it_once(url: str) -> None:
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(lambda _: migrate(url, MANAGEMENT), range(8)))
    assert rows(url, "SELECT version_num FROM management_schema") == [(MANAGEMENT.head,)]


@pytest.mark.wide
def test_processes_that_open_a_database_at_once_migrate_it_once(url: str) -> None:
    """A process that waited finds all done. A process that comes later does not load Alembic."""
    command = [sys.executable, "-c", _OPEN, url]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] != "" for process in started] == [True, True]
    assert [process.returncode for process in started] == [0, 0]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == "False\n"


def test_rows_of_others_are_not_waited_for_where_nothing_is_to_do(url: str) -> None:
    """A server must start while a command changes the database."""
    migrate(url, USERS)
    with shell(url) as db:
        db.exec_driver_sql("UPDATE users_version SET version = version + 1")
        database = Database(url, "users")
        database.migrate(USERS)
        database.close()
