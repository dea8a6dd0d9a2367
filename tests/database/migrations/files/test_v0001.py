"""The files that users send: in a database of a release that knows none, there is none."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import FILES
from sipmesh.storage.sent_file_tables import SCHEMA
from storage.databases import shell


def test_there_is_no_file_yet(url: str) -> None:
    migrate(url, FILES)
    assert differences(url, FILES, SCHEMA) == []
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT count(*) FROM sent_files").scalar_one() == 0
        assert db.exec_driver_sql("SELECT id, turn FROM sent_files_turn").all() == [(1, 0)]
