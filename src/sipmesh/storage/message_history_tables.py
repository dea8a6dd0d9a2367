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

# What a new message has to know, and its count: few statements, since each waits for the event loop's thread.
KNOWN = sql.text("""
SELECT (SELECT account FROM message_history_users WHERE owner = :owner) AS account,
  (SELECT at FROM message_history WHERE owner = :owner AND "key" = :key) AS same,
  (SELECT max(at) FROM message_history WHERE owner = :owner AND at < :before) AS last
""")
COUNTED = sql.text("""
INSERT INTO message_history_users (owner, account, messages, octets) VALUES (:owner, :account, 1, :size)
ON CONFLICT (owner) DO UPDATE SET messages = message_history_users.messages + 1,
  octets = message_history_users.octets + excluded.octets,
  account = CASE WHEN excluded.account < message_history_users.account THEN excluded.account
    ELSE message_history_users.account END
RETURNING messages, octets
""")
