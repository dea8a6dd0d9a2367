"""The tables of the lease: who leads, and what each management server has said of itself."""

from __future__ import annotations

import sqlalchemy as sql

SCHEMA = sql.MetaData()
# One row. A transaction that writes locks it against a new leader until it is committed.
LEASE = sql.Table(
    "management_lease",
    SCHEMA,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("holder", sql.Text, nullable=False),
    sql.Column("fencing", sql.BigInteger, nullable=False),
    sql.Column("until", sql.Float, nullable=False),
    sql.Column("since", sql.Float, nullable=False),
)

# What each server has said of itself last.
MEMBERS = sql.Table(
    "management_pool",
    SCHEMA,
    sql.Column("server", sql.Text, primary_key=True),
    sql.Column("heard", sql.Float, nullable=False),
    sql.Column("version", sql.BigInteger, nullable=False),
)

CLOCKS_SCHEMA = sql.MetaData()
# By how many seconds the clock of each server was ahead of that of the database when it last said something of itself.
CLOCKS = sql.Table(
    "management_clocks",
    CLOCKS_SCHEMA,
    sql.Column("server", sql.Text, primary_key=True),
    sql.Column("ahead", sql.Float, nullable=False),
)
