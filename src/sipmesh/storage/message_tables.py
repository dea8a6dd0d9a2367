"""The tables of stored messages."""

from __future__ import annotations

import sqlalchemy as sql

SCHEMA = sql.MetaData()
_NUMBER = sql.BigInteger().with_variant(sql.Integer(), "sqlite")
MESSAGES = sql.Table(
    "stored_messages",
    SCHEMA,
    sql.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sql.Column("aor", sql.Text, nullable=False),
    sql.Column("sender", sql.LargeBinary, nullable=False),
    sql.Column("key", sql.LargeBinary, nullable=False),
    sql.Column("octets", sql.LargeBinary, nullable=False),
    sql.Column("size", sql.BigInteger, nullable=False),
    sql.Column("expires", sql.Float(53), nullable=False),
    sql.Column("account", sql.BigInteger, nullable=False, server_default="0"),
    sql.UniqueConstraint("aor", "key"),
    sqlite_autoincrement=True,  # numbers rise, and the number of a deleted message is not used again
)
BY_SENDER = sql.Index("stored_messages_by_sender", MESSAGES.c.sender)
LEASES = sql.Table(
    "stored_message_leases",
    SCHEMA,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("holder", sql.Text, nullable=False),
    sql.Column("ends", sql.Float(53), nullable=False),
)
# One row. Each transaction changes it first, so that transactions cannot overlap, and numbers rise in the order of commits.
TURN = sql.Table(
    "stored_messages_turn",
    SCHEMA,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("turn", sql.BigInteger, nullable=False),
)
LEASE = sql.text("""
INSERT INTO stored_message_leases (aor, holder, ends) VALUES (:aor, :holder, :ends)
ON CONFLICT (aor) DO UPDATE SET holder = excluded.holder, ends = excluded.ends
WHERE stored_message_leases.holder = excluded.holder OR stored_message_leases.ends <= :now
""")
