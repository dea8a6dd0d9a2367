"""The tables of the message history: names and texts in them are encrypted, or hashed with a key (`storage.message_cipher`)."""

from __future__ import annotations

import sqlalchemy as sql

SCHEMA = sql.MetaData()
HISTORY = sql.Table(
    "message_history",
    SCHEMA,
    sql.Column("owner", sql.Text, primary_key=True),
    sql.Column("at", sql.BigInteger, primary_key=True, autoincrement=False),  # microseconds since 1970
    sql.Column("pool", sql.Text, nullable=False),
    sql.Column("account", sql.BigInteger, nullable=False),
    sql.Column("key", sql.LargeBinary, nullable=False),
    sql.Column("conversation", sql.LargeBinary, nullable=False),
    sql.Column("source", sql.LargeBinary, nullable=False),
    sql.Column("octets", sql.LargeBinary, nullable=False),
    sql.Column("size", sql.BigInteger, nullable=False),
    sql.UniqueConstraint("owner", "key"),
)
USERS = sql.Table(
    "message_history_users",
    SCHEMA,
    sql.Column("owner", sql.Text, primary_key=True),
    sql.Column("account", sql.BigInteger, nullable=False),  # no row of the owner has an earlier one
    sql.Column("messages", sql.BigInteger, nullable=False),
    sql.Column("octets", sql.BigInteger, nullable=False),
)
BY_CONVERSATION = sql.Index("message_history_by_conversation", HISTORY.c.owner, HISTORY.c.conversation, HISTORY.c.at)
BY_TIME = sql.Index("message_history_by_time", HISTORY.c.pool, HISTORY.c.at)
