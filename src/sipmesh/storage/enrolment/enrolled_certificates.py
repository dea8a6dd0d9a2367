"""The certificates that were issued by EST and ACME: for whom, when, and which one replaces which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sql

from sipmesh.database.schema import ENROLMENT
from sipmesh.storage.enrolment.enrolment_tables import CERTIFICATES

if TYPE_CHECKING:
    from typing import Self

    from sipmesh.database.connection import Database
    from sipmesh.database.lease import Lease

KEPT_S: Final = 400 * 86_400.0
"""Seconds until a row is removed: its certificate has expired long before. The ledger of the CA has it for ever."""

A_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class EnrolledCertificate:
    """One certificate. *account* is empty for EST; *at* is in seconds since 1970; *replaced_by* is a serial number, or empty."""

    serial: str
    server: str
    account: str
    protocol: str
    at: float
    replaced_by: str = ""

    @classmethod
    def of(cls, row: sql.Row[tuple[object, ...]]) -> Self:
        """Return the certificate of a row."""
        return cls(**row._mapping)  # noqa: SLF001 - the public name of SQLAlchemy for the columns of a row


class EnrolledCertificates:
    """The rows in the *database* of management. Only the holder of the *lease* writes."""

    __slots__ = ("_database", "_lease")

    def __init__(self, database: Database, lease: Lease) -> None:
        """Migrate the database if needed; raises `OperatorError` if the database cannot be used."""
        self._database, self._lease = database, lease
        database.migrate(ENROLMENT)

    def add(self, certificate: EnrolledCertificate, replaces: str = "") -> None:
        """Store a new certificate; *replaces* is the serial number of the certificate before, or empty."""
        with self._database.border(), self._database.engine.begin() as db:
            self._lease.enter(db)
            db.execute(CERTIFICATES.delete().where(CERTIFICATES.c.at < certificate.at - KEPT_S))
            values = {column.name: getattr(certificate, column.name) for column in CERTIFICATES.columns}
            db.execute(CERTIFICATES.insert().values(values))
            if replaces:
                before = CERTIFICATES.update().where(CERTIFICATES.c.serial == replaces)
                db.execute(before.values(replaced_by=certificate.serial))

    def find(self, serial: str) -> EnrolledCertificate | None:
        """Return the certificate with a serial number in lower-case hex; None if it was issued in another way."""
        with self._database.border(), self._database.engine.connect() as db:
            row = db.execute(sql.select(CERTIFICATES).where(CERTIFICATES.c.serial == serial)).first()
        return EnrolledCertificate.of(row) if row is not None else None

    def of_last_day(self, server: str, at: float) -> int:
        """Count the certificates that *server* was issued in the day before *at*."""
        return self.since(server, at - A_DAY_S)

    def since(self, server: str, begin: float) -> int:
        """Count the certificates that *server* was issued after *begin*."""
        return self._count(CERTIFICATES.c.server == server, CERTIFICATES.c.at > begin)

    def _count(self, *where: sql.ColumnElement[bool]) -> int:
        count = sql.select(sql.func.count()).select_from(CERTIFICATES).where(*where)
        with self._database.border(), self._database.engine.connect() as db:
            return int(db.execute(count).scalar_one())
