"""The message history of users: in a database of a release that knows none, no message is in it."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import HISTORY
from sipmesh.storage.message_history_tables import SCHEMA
from storage.databases import shell


def test_no_message_is_in_the_history_yet(url: str) -> None:
    migrate(url, HISTORY)
    assert differences(url, HISTORY, SCHEMA) == []
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT count(*) FROM message_history").scalar_one() == 0
