"""The message history of users: in a database of a release that knows none, no message is in it."""

from __future__ import annotations

from database.migrations.adoption import migrate
from sipmesh.database.schema import HISTORY
from storage.databases import shell


def test_no_message_is_in_the_history_yet(url: str) -> None:
    migrate(url, HISTORY)
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT count(*) FROM message_history").scalar_one() == 0
