"""The database that several management servers share: its URL, and the server of this host, in a file beside the topology.

The file is not part of the topology, which each server of the network gets: the URL may contain a password. Only its
owner may read it.
"""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from weakref import WeakValueDictionary

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.errors import OperatorError, Problem
from sipmesh.typed_json import UnreadableJsonError, read_document

FILE: Final = "management.json"
DATABASE: Final = "management.db"
"""The file of the database, in the folder of the organisation, if it is not shared."""
_OTHERS: Final = 0o077
_leases: WeakValueDictionary[SharedDatabase, Lease] = WeakValueDictionary()


@dataclass(frozen=True, slots=True, repr=False)
class SharedDatabase:
    """*url* is the URL of the database, and *server* the management server of this host."""

    url: str
    server: str

    def __repr__(self) -> str:
        return f"<SharedDatabase of {self.server}>"

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """Return the database that the file in *folder* names; None if there is no such file.

        Raises `OperatorError` if others may read the file, or if it cannot be read.
        """
        file = folder / FILE
        try:
            content = file.read_bytes()
            mode = file.stat().st_mode
        except FileNotFoundError:
            return None
        except OSError as wrong:
            raise _unusable(
                file, f"cannot be read ({wrong.strerror})", "allow the user of sipmesh to read it"
            ) from None
        if stat.S_IMODE(mode) & _OTHERS:
            raise _unusable(file, "can be read by other users", f"chmod 600 {file}")
        try:
            return read_document(cls, content)
        except UnreadableJsonError as wrong:
            remedy = "write it again: sipmesh management move URL"
            raise _unusable(file, f"cannot be read ({wrong})", remedy) from None

    def encode(self) -> bytes:
        """Return the content of the file."""
        return json.dumps({"url": self.url, "server": self.server}).encode() + b"\n"

    def open(self) -> Database:
        """Return the database; raises `OperatorError` if the URL cannot be used."""
        return Database(self.url, "management database")

    def lease(self, database: Database) -> Lease:
        """Return the lease in *database*: all who hold it in this process have the same object, so that all lead, or none.

        Raises `OperatorError` if the database cannot be used.
        """
        lease = _leases.get(self)
        if lease is None:
            lease = _leases[self] = Lease(database, self.server)
        else:
            lease.set_up(database)
        return lease


def _unusable(file: Path, reason: str, remedy: str) -> OperatorError:
    return OperatorError("the database of management is not known", (Problem(file, 0, "", reason, remedy),))


def has_management_db(folder: Path) -> bool:
    """Return whether the organisation in *folder* has a database of management, in a file or shared."""
    return (folder / DATABASE).is_file() or SharedDatabase.find(folder) is not None
