"""The tables of the records of calls."""

from __future__ import annotations

import sqlalchemy as sql

SCHEMA = sql.MetaData()
_NUMBER = sql.BigInteger().with_variant(sql.Integer(), "sqlite")
RECORDS = sql.Table(
    "call_records",
    SCHEMA,
    sql.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sql.Column("server", sql.Text, nullable=False),
    sql.Column("id", sql.Text, nullable=False),
    sql.Column("call_id", sql.Text, nullable=False),
    sql.Column("method", sql.Text, nullable=False),
    sql.Column("start", sql.Float(53), nullable=False),
    sql.Column("status", sql.Integer, nullable=False),
    sql.Column("is_up", sql.Boolean, nullable=False),
    sql.Column("caller", sql.Text, nullable=False),
    sql.Column("callee", sql.Text, nullable=False),
    sql.Column("answerer", sql.Text, nullable=False),
    sql.Column("caller_domain", sql.Text, nullable=False),
    sql.Column("callee_domain", sql.Text, nullable=False),
    sql.Column("record", sql.Text, nullable=False),
    sql.UniqueConstraint("server", "id"),
    sqlite_autoincrement=True,  # numbers rise: a sink goes on after the number that it has had
)
INDEXES = [
    sql.Index(f"call_records_by_{name}", RECORDS.c[name])
    for name in ("start", "call_id", "caller", "callee", "answerer")
]
SINKS = sql.Table(
    "call_sinks",
    SCHEMA,
    sql.Column("sink", sql.Text, primary_key=True),
    sql.Column("number", sql.BigInteger, nullable=False),
)
