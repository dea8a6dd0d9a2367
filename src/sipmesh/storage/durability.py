"""Whether PostgreSQL keeps what it has acknowledged when it fails over to a standby: that depends on its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sql

from sipmesh.database.connection import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTINGS: Final = sql.text(
    "SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),"
    " (SELECT count(*) FROM pg_stat_replication)"
)
SET_NAMES: Final = "set `synchronous_standby_names` of the database server, such as 'ANY 1 (*)', and reload it"
SET_COMMIT: Final = "set `synchronous_commit = on` for this database, and reload the database server"


def what_a_failover_loses(url: str, what: str) -> Iterator[tuple[str, str]]:
    """Yield a reason and a remedy for each setting by which the database of *what* loses commits; nothing for SQLite.

    A standby is known as long as it has a connection. Raises `OperatorError` if the database cannot be used.
    """
    if not url.startswith("postgresql"):
        return
    database = Database(url, what)
    try:
        with database.border(), database.engine.connect() as db:
            commit, names, standbys = db.execute(_SETTINGS).one()
    finally:
        database.close()
    if commit == "off" or (commit == "local" and standbys):
        yield (
            f"the database of the {what} has `synchronous_commit = {commit}`: a crash loses what it has acknowledged",
            SET_COMMIT,
        )
    if standbys and not names:
        lost = f"after a failover, {what} that were acknowledged are lost, and those that were removed are there again"
        yield f"the database of the {what} has standbys, and all of them are asynchronous: {lost}", SET_NAMES
