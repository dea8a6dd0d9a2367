"""The tables of a ledger. The migrations in `sipmesh.database.migrations.ledger` make them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sipmesh.database.lazy_module import sql


@dataclass(frozen=True, slots=True)
class LedgerTables:
    """The tables of one ledger, and the columns by which certificates are in the order of their issue."""

    prefix: str
    facts: sql.Table
    certificates: sql.Table
    lists: sql.Table
    order: sql.ColumnElement[Any]

    @property
    def every(self) -> tuple[sql.Table, ...]:
        """All tables."""
        return (self.facts, self.certificates, self.lists)


@cache
def tables_of(prefix: str) -> LedgerTables:
    """Return the tables of an SQLite file, or with a *prefix* those of one generation in a shared database."""
    schema, is_file = sql.MetaData(), not prefix
    facts = sql.Table(
        f"{prefix}facts",
        schema,
        sql.Column("key", sql.Text, primary_key=True),
        sql.Column("value", sql.Text, nullable=False),
        sqlite_strict=is_file,
    )
    # SQLite numbers rows itself; elsewhere a column does it.
    numbered = () if is_file else (sql.Column("seq", sql.BigInteger, sql.Identity(), nullable=False),)
    always = ("issuer", "kind", "names", "not_before", "not_after", "reserved_at")
    certificates = sql.Table(
        f"{prefix}certificates",
        schema,
        sql.Column("serial", sql.Text, primary_key=True),
        *(sql.Column(name, sql.Text, nullable=False) for name in always),
        sql.Column("der", sql.LargeBinary),
        sql.Column("revoked_at", sql.Text),
        sql.Column("reason", sql.Text),
        *numbered,
        sqlite_strict=is_file,
    )
    lists = sql.Table(
        f"{prefix}lists",
        schema,
        sql.Column("issuer", sql.Text, primary_key=True),
        sql.Column("number", sql.Integer if is_file else sql.BigInteger, primary_key=True, autoincrement=False),
        sql.Column("this_update", sql.Text, nullable=False),
        sql.Column("next_update", sql.Text, nullable=False),
        sql.Column("revoked", sql.Integer, nullable=False),
        sqlite_strict=is_file,
    )
    order = sql.literal_column("rowid") if is_file else certificates.c.seq
    return LedgerTables(prefix, facts, certificates, lists, order)
