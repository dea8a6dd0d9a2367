"""What Alembic runs for each migration: on the connection, and in the transaction, of `sipmesh.database.migration`."""

from __future__ import annotations

from alembic import context

_given = context.config.attributes
context.configure(
    connection=_given["connection"],
    version_table=_given["schema"].version_table,
    transactional_ddl=True,  # in SQLite too: the transaction has begun with BEGIN IMMEDIATE
)
context.run_migrations()
