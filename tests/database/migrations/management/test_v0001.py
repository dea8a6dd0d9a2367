"""The tables of management: rows of the audit log and of the versions are only added, by any writer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from database.migrations.adoption import differences, made_in, make_earlier, migrate
from sipmesh.database import lease_tables
from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.database.schema import MANAGEMENT
from sipmesh.storage import audit, history, management_files
from sipmesh.storage.audit import Audit
from storage.databases import BOTH, SQLITE, shell
from support.tiers import wide_after

EVERY = (lease_tables.SCHEMA, audit._schema, history._schema, management_files._schema)


@pytest.fixture(name="db")
def _db(url: str) -> Iterator[sql.Connection]:
    database = Database(url, "history")
    database.migrate(MANAGEMENT)
    with database.engine.connect() as db:
        db.execute(sql.text("INSERT INTO audit VALUES (1, 'a', '', ''), (2, 'b', '', '')"))
        yield db
    database.close()


def rows(db: sql.Connection) -> list[tuple[int, str]]:
    return [(seq, line) for seq, line in db.execute(sql.text("SELECT seq, line FROM audit ORDER BY seq"))]


def refused(db: sql.Connection, statement: str) -> None:
    with pytest.raises(IntegrityError, match="only ever added to"), db.begin_nested():
        db.execute(sql.text(statement))
    assert rows(db) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    "statement",
    wide_after(
        4,
        [
            "UPDATE audit SET line = 'c' WHERE seq = 2",
            "UPDATE audit SET seq = 9 WHERE seq = 2",
            "DELETE FROM audit",
            "INSERT INTO audit VALUES (0, 'c', '', '')",
            "INSERT INTO audit VALUES (4, 'c', '', ''), (3, 'd', '', '')",
            "INSERT INTO audit VALUES (2, 'c', '', '') ON CONFLICT (seq) DO UPDATE SET line = 'c'",
        ],
    ),
)
def test_existing_rows_cannot_be_changed(db: sql.Connection, statement: str) -> None:
    refused(db, statement)


@pytest.mark.parametrize("url", [SQLITE], indirect=True)
@pytest.mark.parametrize(
    "statement", ["INSERT OR REPLACE INTO audit VALUES (2, 'c', '', '')", "REPLACE INTO audit VALUES (1, 'c', '', '')"]
)
def test_row_cannot_be_replaced_in_sqlite(db: sql.Connection, statement: str) -> None:
    refused(db, statement)


@pytest.mark.parametrize("url", BOTH[1:], indirect=True)
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE audit",
        "WITH gone AS (DELETE FROM audit RETURNING seq) SELECT seq FROM gone",
    ],
)
def test_table_cannot_be_truncated_in_postgresql(db: sql.Connection, statement: str) -> None:
    refused(db, statement)


def test_rows_are_added_at_the_end(db: sql.Connection) -> None:
    db.execute(sql.text("INSERT INTO audit VALUES (3, 'c', '', ''), (9, 'd', '', '')"))
    assert rows(db) == [(1, "a"), (2, "b"), (3, "c"), (9, "d")]


def test_new_tables_are_those_that_the_code_expects(url: str) -> None:
    migrate(url, MANAGEMENT)
    assert differences(url, MANAGEMENT, *EVERY) == []


def test_audit_log_of_the_last_release_without_revisions_stays(url: str) -> None:
    make_earlier(
        url,
        MANAGEMENT,
        "INSERT INTO audit VALUES (1, 'a', '', 'h')",
        "UPDATE audit_turn SET turns = 5",
        "INSERT INTO management_lease VALUES (1, '', 7, 0, 0)",
    )
    before = made_in(url)
    database = Database(url, "history")
    held = Lease(database)
    assert (Audit(database, held).head(), held.fencing) == ("h", 7)
    database.close()
    assert made_in(url, {MANAGEMENT.version_table}) == before
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT turns FROM audit_turn").all() == [(5,)]
