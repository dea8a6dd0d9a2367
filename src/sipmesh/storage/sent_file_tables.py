"""The tables of the files that users send: names and contents in them are encrypted (`storage.file_cipher`)."""

from __future__ import annotations

import sqlalchemy as sql

SCHEMA = sql.MetaData()
# *id* is a hash of the token in the link. *parts* is 0 until the whole file is there, and *until* ends the lease of the upload.
FILES = sql.Table(
    "sent_files",
    SCHEMA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("owner", sql.Text, nullable=False),
    sql.Column("account", sql.BigInteger, nullable=False),
    sql.Column("pool", sql.Text, nullable=False),
    sql.Column("size", sql.BigInteger, nullable=False),
    sql.Column("until", sql.Float(53), nullable=False),
    sql.Column("about", sql.LargeBinary, nullable=False),
    sql.Column("parts", sql.Integer, nullable=False),
)
BY_OWNER = sql.Index("sent_files_by_owner", FILES.c.owner, FILES.c.account)
PARTS = sql.Table(
    "sent_file_parts",
    SCHEMA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("octets", sql.LargeBinary, nullable=False),
)
# One row. Each upload changes it first, so that no two of them take the same room.
TURN = sql.Table(
    "sent_files_turn",
    SCHEMA,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("turn", sql.BigInteger, nullable=False),
)
