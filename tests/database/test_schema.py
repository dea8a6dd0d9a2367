"""The schemas name the newest revision in their folder, and refuse a database of a newer release."""

from __future__ import annotations

import pytest
import sqlalchemy as sql
from alembic.script import ScriptDirectory

from database.migrations.adoption import migrate
from sipmesh.database.connection import Database
from sipmesh.database.schema import LEDGER, MIGRATIONS, SCHEMAS, USERS, Schema
from sipmesh.errors import OperatorError
from storage.databases import shell
from support.tiers import wide_after


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_head_is_the_newest_revision_of_one_line(schema: Schema) -> None:
    scripts = ScriptDirectory(str(MIGRATIONS), version_locations=[str(schema.folder)])
    assert scripts.get_heads() == [schema.head]
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions == [f"{number:04}" for number in range(len(revisions), 0, -1)]


def test_each_prefix_has_a_table_for_its_revision() -> None:
    assert LEDGER.version_table == "ledger_schema"
    assert LEDGER.with_prefix("ca2_").version_table == "ca2_ledger_schema"


def test_tables_without_a_revision_are_not_current(url: str) -> None:
    with shell(url) as db:
        assert not USERS.is_current(db)
    migrate(url, USERS)
    with shell(url) as db:
        assert USERS.is_current(db)


@pytest.mark.parametrize(
    "found", wide_after(3, ["0004", "9999", "abc", "10000", "\u0660\u0660\u0660\u0660", "0000", ""])
)
def test_revision_of_a_newer_release_is_refused_and_stays(url: str, found: str) -> None:
    """The same database with the revision of this release is used."""
    migrate(url, USERS)
    with shell(url) as db:
        db.execute(sql.text("UPDATE users_schema SET version_num = :found"), {"found": found})
    database = Database(url, "users")
    with pytest.raises(
        OperatorError, match=f"has revision {found}, and this release of sipmesh knows revisions up to {USERS.head}"
    ):
        database.migrate(USERS)
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT version_num FROM users_schema").all() == [(found,)]
        db.execute(sql.text("UPDATE users_schema SET version_num = '0003'"))
    database.migrate(USERS)
    database.close()


def test_refusal_shows_no_password() -> None:
    engine = sql.create_engine("sqlite://")
    with engine.connect() as db:
        db.exec_driver_sql("CREATE TABLE users_schema (version_num TEXT)")
        db.exec_driver_sql("INSERT INTO users_schema VALUES ('0007')")
        with pytest.raises(OperatorError, match="install the release that wrote it, or a newer one"):
            USERS.is_current(db)
    engine.dispose()
