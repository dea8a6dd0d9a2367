"""The tables of the user database, in SQLite and PostgreSQL alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sql

from sipmesh.database.number_ceilings import USERS_NUMBERS
from sipmesh.storage.users.user_columns import UNKNOWN_INSTANT

if TYPE_CHECKING:
    from collections.abc import Callable


_FIRST: Final[sql.ColumnElement[Any]] = sql.literal_column("'0001-01-02 00:00:00+00:00'")
_LAST: Final[sql.ColumnElement[Any]] = sql.literal_column("'9999-12-30 00:00:00+00:00'")
_UNKNOWN: Final[sql.ColumnElement[Any]] = sql.literal_column("'1970-01-01 00:00:00+00:00'")


class Instant(sql.TypeDecorator[datetime]):
    """Times in UTC in every database: SQLite stores no time zone, and PostgreSQL answers in the zone of its settings.

    SQLite stores any value, and PostgreSQL times that Python has not, such as ``infinity``: its driver reads no row of a result
    with such a time. They are read as `UNKNOWN_INSTANT`.
    """

    impl = sql.DateTime(timezone=True)
    cache_ok = True

    def column_expression(self, column: sql.ColumnElement[Any]) -> sql.ColumnElement[Any]:
        """Have the database give a time that Python has."""
        return sql.case((column.between(_FIRST, _LAST), column), else_=_UNKNOWN)

    def result_processor(self, dialect: sql.Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        """Return what reads one value."""
        read = self.impl_instance.result_processor(dialect, coltype)

        def processed(value: Any) -> datetime | None:
            try:
                return _utc(read(value) if read is not None else value)
            except (TypeError, ValueError, OverflowError):
                return UNKNOWN_INSTANT

        return processed


def _utc(read: datetime | None) -> datetime | None:
    if read is None or read.tzinfo is None:
        return read and read.replace(tzinfo=UTC)
    return read.astimezone(UTC)


SCHEMA = sql.MetaData()
USERS = sql.Table(
    "users",
    SCHEMA,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("ha1_sha256", sql.Text),
    sql.Column("ha1_md5", sql.Text),
    sql.Column("generation", sql.BigInteger, nullable=False),
    sql.Column("created", Instant, nullable=False),
    sql.Column("pool", sql.Text),
    sql.Column("call_rules", sql.Text),
)
sql.Index("users_folded", sql.func.lower(USERS.c.aor))
# One row. Each change updates it first, so that changes cannot overlap, and their numbers rise in the order of commits.
# *names_key* is the key of the organisation for unknown names (`DigestSets`), in hexadecimal.
VERSION = sql.Table(
    "users_version",
    SCHEMA,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("version", sql.BigInteger, nullable=False),
    sql.Column("names_key", sql.Text),
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
    sql.Column("created", Instant, nullable=False),
)
# The password hashes of disabled users; meanwhile the table of users has random hashes, which no password has.
DISABLED = sql.Table(
    "users_disabled",
    SCHEMA,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("ha1_sha256", sql.Text),
    sql.Column("ha1_md5", sql.Text),
    sql.Column("since", Instant, nullable=False),
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


def number_in(db: sql.Connection, known: int = 0) -> int:
    """Return the number of the users; *known* is the highest number that was read before.

    Raises `OperatorError` for a number that no changes can have reached by now: then the database was changed.
    """
    return _counted(db.execute(sql.select(VERSION.c.version)).scalar_one(), known)


def raise_number(db: sql.Connection, by: int, known: int = 0) -> int:
    """Raise the number of the users, so that other changes wait until the end of the transaction; raises as `number_in` does.

    With 0 for *by* the number stays the same.
    """
    raised = VERSION.update().values(version=VERSION.c.version + by).returning(VERSION.c.version)
    return _counted(db.execute(raised).scalar_one(), known)


def changed_by(db: sql.Connection, number: int) -> str | None:
    """Return the user of the change *number*, None if it is the change of no user."""
    found = db.execute(sql.select(CHANGES.c.aor).where(CHANGES.c.version == number)).scalar_one_or_none()
    return None if found is None else str(found)


def _counted(number: int, known: int) -> int:
    remedy = f"set `version` of users_version to {known or 'the last one of users_changes'}"
    return USERS_NUMBERS.must_count(number, datetime.now(UTC), known, remedy=remedy)
