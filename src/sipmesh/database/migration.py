"""Bring the tables of a schema to its newest revision, by Alembic.

A database that has the newest revision already costs one query: Alembic is loaded only for a new or an older database.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from sipmesh.database.schema import MIGRATIONS

if TYPE_CHECKING:
    import sqlalchemy as sql
    from alembic.config import Config

    from sipmesh.database.schema import Schema

_LOCK_KEY: Final = 5061  # of a lock in PostgreSQL: any number that no other program uses in this database
_one_at_a_time: Final = threading.Lock()  # Alembic has one context for the whole process


def migrate(engine: sql.Engine, schema: Schema) -> None:
    """Bring the tables of *schema* to its newest revision, in one transaction: all revisions that are missing, or none.

    Several processes may do so at the same time: the first one migrates, the others wait for it.

    Raises:
        OperatorError: The tables have a revision that this release does not know, or are another program's.
        SQLAlchemyError: The database cannot be used.
    """
    with engine.connect() as db:
        if schema.is_current(db):
            return
    with _one_at_a_time, engine.begin() as db:
        _exclude_others(db)
        if not schema.is_current(db):
            schema.must_be_ours(db)
            _upgrade(db, schema)


def _exclude_others(db: sql.Connection) -> None:
    """Wait until no other process migrates, and let none begin before the end of the transaction."""
    if db.dialect.name == "postgresql":
        db.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})")
    else:
        db.exec_driver_sql("BEGIN IMMEDIATE")


def _upgrade(db: sql.Connection, schema: Schema) -> None:
    from alembic import command

    command.upgrade(_config(db, schema), "head")


def _config(db: sql.Connection, schema: Schema) -> Config:
    """Return what Alembic needs to know; ``env.py`` reads the attributes."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", _literal(str(MIGRATIONS)))
    config.set_main_option("version_locations", _literal(str(schema.folder)))
    config.attributes.update(connection=db, schema=schema)
    return config


def _literal(text: str) -> str:
    """Return *text* as an option of a file that replaces ``%(name)s``."""
    return text.replace("%", "%%")
