"""The published versions and the audit log, to both of which rows are only added; the lease of the leader; its files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_FIRST_TURN = "INSERT INTO audit_turn (id, turns) SELECT 1, 0 WHERE NOT EXISTS (SELECT 1 FROM audit_turn)"
_SQLITE = (
    (
        "CREATE TRIGGER IF NOT EXISTS {table}_keeps_rows BEFORE UPDATE ON {table} "
        "BEGIN SELECT RAISE(ABORT, '{table} is only ever added to'); END"
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS {table}_loses_none BEFORE DELETE ON {table} "
        "BEGIN SELECT RAISE(ABORT, '{table} is only ever added to'); END"
    ),
    # INSERT OR REPLACE deletes without a trigger.
    (
        "CREATE TRIGGER IF NOT EXISTS {table}_grows BEFORE INSERT ON {table} "
        "WHEN NEW.{number} <= (SELECT max({number}) FROM {table}) "
        "BEGIN SELECT RAISE(ABORT, '{table} is only ever added to, at its end'); END"
    ),
)
_POSTGRESQL = (
    (
        "CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE integrity_constraint_violation USING MESSAGE = '{table} is only ever added to'; END $$"
    ),
    (
        "CREATE OR REPLACE TRIGGER {table}_keeps_rows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "EXECUTE FUNCTION {table}_refuse()"
    ),
    # In PostgreSQL the condition of a trigger cannot contain a query, so the function contains it.
    (
        "CREATE OR REPLACE FUNCTION {table}_refuse_before_end() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.{number} <= (SELECT max({number}) FROM {table}) THEN "
        "RAISE integrity_constraint_violation USING MESSAGE = '{table} is only ever added to, at its end'; "
        "END IF; RETURN NEW; END $$"
    ),
    (
        "CREATE OR REPLACE TRIGGER {table}_grows BEFORE INSERT ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION {table}_refuse_before_end()"
    ),
)


def upgrade() -> None:
    """Create the tables and triggers that are missing."""
    _create_lease()
    _create_audit()
    _create_versions()
    _create_files()
    for table, number in (("audit", "seq"), ("versions", "number")):
        _only_add(table, number)
    op.execute(_FIRST_TURN)


def _create_lease() -> None:
    op.create_table(
        "management_lease",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("fencing", sa.BigInteger, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "management_pool",
        sa.Column("server", sa.Text, primary_key=True),
        sa.Column("heard", sa.Float, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "audit_turn",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("turns", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )


def _create_versions() -> None:
    op.create_table(
        "versions",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("forced", sa.Boolean, nullable=False),
        sa.Column("jws", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "versions_floors",
        sa.Column("at_least", sa.BigInteger, primary_key=True, autoincrement=False),
        if_not_exists=True,
    )


def _create_files() -> None:
    op.create_table(
        "management_files",
        sa.Column("server", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )


def _only_add(table: str, number: str) -> None:
    """Refuse changes and removals of rows by a bug of ours, or by hand in a database shell: hashes would show them later."""
    db = op.get_bind()
    for statement in _SQLITE if db.dialect.name == "sqlite" else _POSTGRESQL:
        db.exec_driver_sql(statement.format(table=table, number=number))
