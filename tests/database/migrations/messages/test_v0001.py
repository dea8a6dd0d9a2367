"""The tables of stored messages: new tables, and those of the last release without revisions."""

from __future__ import annotations

from database.migrations.adoption import differences, made_in, make_earlier, migrate
from sipmesh.database.schema import MESSAGES
from sipmesh.storage import message_tables
from storage.databases import shell

_ROW = "VALUES ('a', 'sender', 'key', 'octets', 6, 9)"


def test_new_tables_are_those_that_the_code_expects(url: str) -> None:
    migrate(url, MESSAGES)
    assert differences(url, MESSAGES, message_tables.SCHEMA) == []


def test_messages_of_the_last_release_without_revisions_stay(url: str) -> None:
    make_earlier(url, MESSAGES, "INSERT INTO stored_messages (aor, sender, key, octets, size, expires) " + _ROW)
    changed = {MESSAGES.version_table, "stored_messages"}  # a later revision adds a column
    before = made_in(url, changed)
    migrate(url, MESSAGES)
    assert made_in(url, changed) == before
    with shell(url) as db:
        assert db.exec_driver_sql("SELECT number, aor FROM stored_messages").all() == [(1, "a")]
