"""A database by its path or URL, and what an operator is told where there is none."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sql

from sipmesh.errors import OperatorError
from sipmesh.storage.database import Database


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_a_path_and_its_url_are_the_same_file_and_its_owners_alone(tmp_path: Path, prefix: str) -> None:
    file = tmp_path / "x.db"
    database = Database(f"{prefix}{file}" if prefix else file, "things")
    with database.border(), database.engine.begin() as db:
        db.execute(sql.text("CREATE TABLE t (n)"))
    assert database.file == file
    assert repr(database) == f"<Database things sqlite:///{file}>"
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_every_connection_waits_for_the_disk(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db", "things")
    with database.engine.connect() as db:
        assert db.execute(sql.text("PRAGMA synchronous")).scalar_one() == 2  # FULL


def test_errors_are_told_with_what_and_where_but_no_values(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db", "things")
    with pytest.raises(OperatorError) as refused, database.border(), database.engine.connect() as db:
        db.execute(sql.text("SELECT :secret FROM nowhere"), {"secret": "hunter2"})
    assert str(refused.value).startswith(
        f"the things in sqlite:///{tmp_path}/x.db cannot be used: OperationalError: no such"
    )
    assert "hunter2" not in str(refused.value)


def test_a_url_that_cannot_be_read_and_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="URL of the things database cannot be read"):
        Database("nonsense", "things")
    with pytest.raises(OperatorError, match="No such file"):
        Database(tmp_path / "none" / "x.db", "things")


def test_a_password_in_the_url_is_never_told() -> None:
    with pytest.raises(OperatorError) as refused:
        Database("postgresql+nosuchdriver://sipmesh:secret@db.example.test/x", "things")
    assert "secret" not in str(refused.value)
