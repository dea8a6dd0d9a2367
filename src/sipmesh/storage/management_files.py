"""The files that the leader of a management pool gives to the other management servers, in the shared database.

Each row is a signed document whose content is sealed to one server (`server/management/pool/file_replication.py`): the database
cannot read it. A row is replaced when its file changes, and its number rises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sql

from sipmesh.database.schema import MANAGEMENT

if TYPE_CHECKING:
    from sipmesh.database.connection import Database
    from sipmesh.database.lease import Lease

_schema = sql.MetaData()
_files = sql.Table(
    "management_files",
    _schema,
    sql.Column("server", sql.Text, primary_key=True),
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("number", sql.BigInteger, nullable=False),
    sql.Column("digest", sql.Text, nullable=False),
    sql.Column("document", sql.LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One row: the signed *document* of the file *name*; *digest* identifies its content and its key, for the leader."""

    name: str
    number: int
    digest: str
    document: bytes


class ManagementFiles:
    """The rows of all management servers; only the holder of the *lease* can write them."""

    __slots__ = ("_database", "_lease")

    def __init__(self, database: Database, lease: Lease) -> None:
        """Migrate the database if needed; raises `OperatorError` if the database cannot be used."""
        self._database, self._lease = database, lease
        database.migrate(MANAGEMENT)

    def digests(self, server: str) -> Mapping[str, str]:
        """Return the digest of each file of *server*, by name."""
        with self._database.border(), self._database.engine.connect() as db:
            rows = db.execute(sql.select(_files.c.name, _files.c.digest).where(_files.c.server == server))
            return {row.name: row.digest for row in rows}

    def since(self, server: str, number: int) -> Sequence[StoredFile]:
        """Return the files of *server* with a higher number than *number*, in the order of their numbers."""
        newer = sql.select(_files).where(_files.c.server == server, _files.c.number > number).order_by(_files.c.number)
        with self._database.border(), self._database.engine.connect() as db:
            return [StoredFile(row.name, row.number, row.digest, bytes(row.document)) for row in db.execute(newer)]

    def last_number(self) -> int:
        """Return the highest number in the table, 0 if it has no row."""
        with self._database.border(), self._database.engine.connect() as db:
            return int(db.execute(sql.select(sql.func.coalesce(sql.func.max(_files.c.number), 0))).scalar_one())

    def put(self, server: str, files: Sequence[StoredFile], removed: Sequence[str] = ()) -> None:
        """Replace files of *server*, and remove the rows *removed*: all or nothing.

        Raises `NotLeadingError` if another server leads.
        """
        with self._database.border(), self._database.engine.begin() as db:
            self._lease.enter(db)
            if removed:
                db.execute(_files.delete().where(_files.c.server == server, _files.c.name.in_(removed)))
            for file in files:
                this = (_files.c.server == server) & (_files.c.name == file.name)
                db.execute(_files.delete().where(this))
                row = {"server": server, "name": file.name, "number": file.number}
                db.execute(_files.insert().values({**row, "digest": file.digest, "document": file.document}))
