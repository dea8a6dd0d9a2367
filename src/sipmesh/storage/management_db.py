"""The permanent database of a management server: the published versions, and every change of trust."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.storage.audit import Audit
from sipmesh.storage.history import History

DATABASE: Final = "management.db"
"""The file of the database, in the folder of the organisation."""


class ManagementDb:
    """The database in *folder*; raises `OperatorError` if it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / DATABASE, "history and audit log")
        self.lease = Lease(self._database)
        self.audit = Audit(self._database, self.lease)
        self.history = History(self._database, self.audit, self.lease)

    def __repr__(self) -> str:
        return f"<ManagementDb in {self._database.where}>"

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Return whether *folder* has such a database."""
        return (folder / DATABASE).is_file()

    def close(self) -> None:
        """Close the database."""
        self._database.close()
