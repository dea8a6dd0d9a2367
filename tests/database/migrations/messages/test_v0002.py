"""The account of stored messages: those that are there before belong to no known one."""

from __future__ import annotations

from database.migrations.adoption import differences, make_earlier, migrate
from sipmesh.database.schema import MESSAGES
from sipmesh.storage import message_tables
from storage.databases import shell

_ROW = "VALUES ('a', 'sender', 'key', 'octets', 6, 9)"


def test_messages_of_the_release_before_stay_without_an_account(url: str) -> None:
    make_earlier(url, MESSAGES, "INSERT INTO stored_messages (aor, sender, key, octets, size, expires) " + _ROW)
    migrate(url, MESSAGES)
    assert differences(url, MESSAGES, message_tables.SCHEMA) == []
    with shell(url) as db:
        db.exec_driver_sql(
            "INSERT INTO stored_messages (aor, sender, key, octets, size, expires) " + _ROW.replace("'a'", "'b'")
        )
        assert db.exec_driver_sql("SELECT aor, account FROM stored_messages ORDER BY number").all() == [
            ("a", 0),
            ("b", 0),
        ]
