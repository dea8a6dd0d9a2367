"""The table of logouts at the OpenID provider: a schema of its own, which the release before passes over."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sql

SCHEMA: Final = sql.MetaData()
# *session* is the hash of ``sid``, "" for all sessions; *at* is in epoch seconds.
LOGOUTS = sql.Table(
    "users_logouts",
    SCHEMA,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("session", sql.Text, primary_key=True),
    sql.Column("at", sql.BigInteger, nullable=False),
)
