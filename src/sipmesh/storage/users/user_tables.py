"""The tables of the user database, in SQLite and PostgreSQL alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sql

from sipmesh.sip.digest import Algorithm


class _Instant(sql.TypeDecorator[datetime]):
    """Times in UTC in every database: SQLite stores no time zone, and PostgreSQL answers in the zone of its settings."""

    impl = sql.DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, _dialect: sql.Dialect) -> datetime | None:
        if value is None or value.tzinfo is None:
            return value and value.replace(tzinfo=UTC)
        return value.astimezone(UTC)


SCHEMA = sql.MetaData()
USERS = sql.Table(
    "users",
    SCHEMA,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("ha1_sha256", sql.Text),
    sql.Column("ha1_md5", sql.Text),
    sql.Column("generation", sql.BigInteger, nullable=False),
    sql.Column("created", _Instant, nullable=False),
    sql.Column("pool", sql.Text),
)
sql.Index("users_folded", sql.func.lower(USERS.c.aor))
# One row. Each change updates it first, so that changes cannot overlap, and their numbers rise in the order of commits.
VERSION = sql.Table(
    "users_version",
    SCHEMA,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("version", sql.BigInteger, nullable=False),
)
# The user of each change. The table only grows, by a few octets for each command of an operator.
CHANGES = sql.Table(
    "users_changes",
    SCHEMA,
    sql.Column("version", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("aor", sql.Text, nullable=False),
)
ALIASES = sql.Table(
    "users_aliases",
    SCHEMA,
    sql.Column("alias", sql.Text, primary_key=True),
    sql.Column("aor", sql.Text, nullable=False, index=True),
    sql.Column("created", _Instant, nullable=False),
)
# The password hashes of disabled users; meanwhile the table of users has random ones, which no password has.
DISABLED = sql.Table(
    "users_disabled",
    SCHEMA,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("ha1_sha256", sql.Text),
    sql.Column("ha1_md5", sql.Text),
    sql.Column("since", _Instant, nullable=False),
)
WATCHERS = sql.Table(
    "users_watchers",
    SCHEMA,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("watcher", sql.Text, primary_key=True),
    sql.Column("rule", sql.Text, nullable=False),
)

# The backup pool of each pool that has one, as of the number of the users: it decides which pool gets which verifiers.
BACKUPS = sql.Table(
    "users_backups",
    SCHEMA,
    sql.Column("pool", sql.Text, primary_key=True),
    sql.Column("backup", sql.Text, nullable=False),
)

COLUMN_OF: Final = {Algorithm.SHA_256: "ha1_sha256", Algorithm.MD5: "ha1_md5"}
"""The columns of the password hashes."""
