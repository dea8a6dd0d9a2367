"""The permanent database of management: the published versions, every change of trust, and the lease of the leader.

It is a file, or a PostgreSQL database that the management servers of a pool share (`sipmesh.database.shared`).
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease, fencing_in
from sipmesh.database.schema import ENROLMENT
from sipmesh.database.shared import DATABASE, SharedDatabase
from sipmesh.storage.audit import Audit
from sipmesh.storage.enrolment.acme_accounts import AcmeAccounts
from sipmesh.storage.enrolment.acme_orders import AcmeOrders
from sipmesh.storage.enrolment.copy_enrolment import copy_enrolment
from sipmesh.storage.enrolment.enrolled_certificates import EnrolledCertificates
from sipmesh.storage.enrolment.enrolment_tokens import EnrolmentTokens
from sipmesh.storage.history import History
from sipmesh.storage.management_files import ManagementFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

_ONE_INSTANT: Final = {"sqlite": "SERIALIZABLE", "postgresql": "REPEATABLE READ"}
OWN_HEAD: Final = "state/audit.head"
"""The file with the hash of the last audit line that this host has added."""


class ManagementDb:
    """The database of the organisation in *folder*; raises `OperatorError` if it cannot be used.

    *shared* is None if it is a file.
    """

    def __init__(self, folder: Path, shared: SharedDatabase | None = None, *, in_file: bool = False) -> None:
        """Open the *shared* database, by default the database that *folder* names, or else the file in *folder*.

        *in_file* opens the file also if *folder* names a database.
        """
        self.folder = folder
        self.shared = shared = None if in_file else shared or SharedDatabase.find(folder)
        self._database = shared.open() if shared is not None else Database(folder / DATABASE, "history and audit log")
        self.lease = shared.lease(self._database) if shared is not None else Lease(self._database)
        self.audit = Audit(self._database, self.lease, folder / OWN_HEAD)
        self.history = History(self._database, self.audit, self.lease)

    @property
    def files(self) -> ManagementFiles:
        """The files that the leader of a pool gives to the other servers."""
        return ManagementFiles(self._database, self.lease)

    @property
    def enrolment_tokens(self) -> EnrolmentTokens:
        """The one-time tokens with which servers enrol."""
        return EnrolmentTokens(self._database, self.lease)

    @property
    def enrolled_certificates(self) -> EnrolledCertificates:
        """The certificates that were issued by EST and ACME."""
        return EnrolledCertificates(self._database, self.lease)

    @property
    def acme_accounts(self) -> AcmeAccounts:
        """The accounts of ACME clients."""
        return AcmeAccounts(self._database, self.lease)

    @property
    def acme_orders(self) -> AcmeOrders:
        """The orders of ACME clients."""
        return AcmeOrders(self._database, self.lease)

    def __repr__(self) -> str:
        return f"<ManagementDb in {self._database.where}>"

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Write to another database as the leader: no other server leads until the end.

        Raises `NotLeadingError` if another one leads already.
        """
        with self._database.border(), self._database.engine.begin() as db:
            self.lease.enter(db)
            yield

    def copy_to(self, other: ManagementDb) -> None:
        """Copy all versions, audit lines and rows of enrolment into a database that has none, in one transaction.

        The fencing number follows. A database that has the same content already stays as it is. Raises `OperatorError` if it has
        any other content.
        """
        for database in (self._database, other._database):
            database.migrate(ENROLMENT)
        with self._database.border(), self._database.engine.connect() as plain, other.audit.copying() as target:
            source = plain.execution_options(isolation_level=_ONE_INSTANT[plain.dialect.name])
            self.audit.copy(source, target)
            self.history.copy(source, target)
            copy_enrolment(source, target)
            other.lease.follow(target, fencing_in(source))

    def close(self) -> None:
        """Close the database."""
        self._database.close()
