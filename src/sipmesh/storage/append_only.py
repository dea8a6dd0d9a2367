"""Append-only tables: triggers in the database refuse changes by a bug of ours, or by hand in a database shell.

The owner of the database can remove the triggers. Then the hashes of the rows still show a change.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sql

from sipmesh.errors import OperatorError

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


def guard(db: sql.Connection, table: str, number: str) -> None:
    """Allow only new rows with a rising *number* in *table*, and no changes or removals; both arguments are names of ours."""
    statements = _SQLITE if db.dialect.name == "sqlite" else _POSTGRESQL
    for statement in statements:
        db.exec_driver_sql(statement.format(table=table, number=number))


def copy_rows(source: sql.Connection, target: sql.Connection, table: sql.Table, number: sql.ColumnElement[Any]) -> None:
    """Copy the rows of *table* in the order of *number* into another database, where the table is empty.

    If the table there has the same rows, nothing happens. Raises `OperatorError` if it has others.
    """
    rows = [row._asdict() for row in source.execute(sql.select(table).order_by(number))]
    there = [row._asdict() for row in target.execute(sql.select(table).order_by(number))]
    if there and there != rows:
        remedy = "name an empty database"
        raise OperatorError(f"the other database has {len(there)} rows in {table.name}, and they differ; {remedy}")
    if rows and not there:
        target.execute(table.insert(), rows)
