"""Tables to which rows are only added: triggers of the database refuse anything else (`sipmesh.database.migrations`).

The owner of the database can remove the triggers. Then the hashes of the rows still show a change.
"""

from __future__ import annotations

from typing import Any

from sipmesh.database.lazy_module import sql
from sipmesh.errors import OperatorError


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
