"""The table of the logins whose tickets have ended: a schema of its own, which the release before passes over."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sql

SCHEMA: Final = sql.MetaData()
# *login* is a hash, and names no user; *until* is in epoch seconds.
ENDED = sql.Table(
    "ended_tickets",
    SCHEMA,
    sql.Column("login", sql.Text, primary_key=True),
    sql.Column("until", sql.BigInteger, nullable=False),
)
