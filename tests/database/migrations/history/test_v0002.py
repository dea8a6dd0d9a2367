"""The counts of the message history: those of the messages that are there already are made once."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import HISTORY
from sipmesh.storage.message_history_tables import SCHEMA
from storage.databases import shell

_ROW = "INSERT INTO message_history VALUES ('{}', {}, 'pool1', {}, '{}', 'c', 's', 'o', {})"


def test_messages_that_are_there_are_counted(url: str) -> None:
    rows = [("a", 1, 5, "k1", 10), ("a", 2, 4, "k2", 20), ("b", 1, 7, "k1", 5)]
    migrate(url, HISTORY)
    with shell(url) as db:
        db.exec_driver_sql("DROP TABLE message_history_users")
        db.exec_driver_sql(f"UPDATE {HISTORY.version_table} SET version_num = '0001'")  # noqa: S608 - our own name
        for row in rows:
            db.exec_driver_sql(_ROW.format(*row))
        db.commit()
    migrate(url, HISTORY)
    assert differences(url, HISTORY, SCHEMA) == []
    with shell(url) as db:
        found = db.exec_driver_sql("SELECT owner, account, messages, octets FROM message_history_users ORDER BY owner")
        assert [tuple(row) for row in found] == [("a", 4, 2, 30), ("b", 7, 1, 5)]
