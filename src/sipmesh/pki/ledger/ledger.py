"""The journal of the CA. A signature is journalled before it is made, so that a crash leaves no unknown certificate.

It is an SQLite file in the folder of the CA, or tables in the database that the management servers of a pool share; there each
generation of the CA has its own tables. Several processes (a command, running servers) can use one CA.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sipmesh.database.connection import Database
from sipmesh.database.lazy_module import sql
from sipmesh.database.migration import migrate
from sipmesh.database.number_ceilings import NumberCeiling
from sipmesh.database.schema import LEDGER
from sipmesh.database.shared import SharedDatabase
from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.ca_folder import generation_of, organisation_of
from sipmesh.pki.ledger.records import (
    UNREADABLE_ROW,
    ListRecord,
    Record,
    read_list_record,
    read_record,
    write_instant,
)
from sipmesh.pki.ledger.refusals import LedgerRefusedError
from sipmesh.pki.ledger.tables import LedgerTables, tables_of
from sipmesh.pki.ledger.ticket import CrlTicket, Ticket

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sipmesh.database.lease import Lease
    from sipmesh.pki.issuance.profiles import CertificateKind

FILE: Final = "ledger.db"
MOVED: Final = ".moved"
"""What follows the name of a file whose content is in a shared database now."""
FENCED: Final = 10**9
"""A CRL number is at least the fencing number of management times this, so that the CRLs of each leader follow those before."""
CRL_NUMBERS: Final = NumberCeiling("CRL number", FENCED, 10 * FENCED)
"""The highest CRL number is that of the highest fencing number."""


ROOT: Final = "root"
"""The fact that says whose root is above the issuing CA: `OTHER`, or none for a root of ours."""
OTHER: Final = "other"
CRLS: Final = "crls_above"
"""The fact with the CRLs of the CAs above an issuing CA below a root of others, as the topology names them, one in a line."""
PUBLISHED: Final = "published"
"""The fact that says `YES` while CRLs, CA certificates and OCSP are served below the URLs in our certificates."""
YES: Final = "yes"


class Ledger:
    """The journal of the CA in one *folder*. All methods raise OperatorError if it cannot be used."""

    def __init__(self, folder: Path, shared: SharedDatabase | None = None) -> None:
        """Use the file in *folder*, or the tables of its generation in the *shared* database."""
        self.folder, self._shared = folder, shared
        self._made: tuple[Database, Lease | None] | None = None
        self._tables = tables_of(f"ca{generation_of(folder)}_" if shared is not None else "")

    def __repr__(self) -> str:
        return f"<Ledger {self._shared or self.file}>"

    @property
    def file(self) -> Path:
        """The file, where the ledger is not in a shared database."""
        return self.folder / FILE

    @classmethod
    def create(cls, folder: Path, facts: Mapping[str, str]) -> Ledger:
        """Make an empty ledger with *facts* about its CA, in a file."""
        ledger = cls(folder)
        with ledger._writing() as db:
            db.execute(ledger._tables.facts.insert(), [{"key": key, "value": value} for key, value in facts.items()])
        return ledger

    @classmethod
    def of(cls, folder: Path) -> Ledger:
        """Return the ledger of the CA in *folder*: in a file, or in the database that the organisation shares.

        A file is moved to the shared database first; only the leader of the management pool can do that.
        """
        shared = SharedDatabase.find(organisation_of(folder))
        if shared is None:
            return cls(folder)
        ledger = cls(folder, shared)
        if ledger.file.is_file():
            cls(folder).copy_to(ledger)
            ledger.file.rename(ledger.file.with_name(f"{FILE}{MOVED}"))
        return ledger

    @classmethod
    def share(cls, beside: Path, folder: Path) -> None:
        """Move the ledger of a new CA, whose files are *beside* until they are complete, to the database that *folder* shares.

        So the database has the ledger before the folder of the CA has its name: after a crash, no other CA gets the generation.
        """
        if (shared := SharedDatabase.find(organisation_of(folder))) is not None:
            made = cls(beside)
            made.copy_to(cls(folder, shared))
            made.file.rename(made.file.with_name(f"{FILE}{MOVED}"))

    @classmethod
    def is_used(cls, folder: Path) -> bool:
        """Return whether the database that *folder* shares has the ledger of another CA of this generation."""
        shared = SharedDatabase.find(organisation_of(folder))
        return shared is not None and bool(cls(folder, shared).facts())

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Return whether the CA in *folder* has a ledger here."""
        return (folder / FILE).is_file() or (
            (folder / "issuing.key").is_file() and SharedDatabase.find(organisation_of(folder)) is not None
        )

    def facts(self) -> dict[str, str]:
        """Give the facts about the CA: those from its creation, and `PUBLISHED`."""
        with self._reading() as db:
            return {row.key: row.value for row in db.execute(sql.select(self._tables.facts))}

    def replace_fact(self, key: str, value: str) -> None:
        """Store one fact in place of an earlier value."""
        with self._writing() as db:
            db.execute(self._tables.facts.delete().where(self._tables.facts.c.key == key))
            db.execute(self._tables.facts.insert(), [{"key": key, "value": value}])

    def reserve(
        self,
        serial: int,
        issuer: CertificateKind,
        kind: CertificateKind,
        names: tuple[str, ...],
        validity: tuple[datetime, datetime],
        at: datetime,
    ) -> Ticket:
        """Journal a certificate before it is signed; returns the ticket for one signature."""
        row = {
            "serial": f"{serial:x}",
            "issuer": str(issuer),
            "kind": str(kind),
            "names": json.dumps(names),
            "not_before": write_instant(validity[0]),
            "not_after": write_instant(validity[1]),
            "reserved_at": write_instant(at),
        }
        with self._writing() as db:
            db.execute(self._tables.certificates.insert().values(row))
        return Ticket(serial, issuer)

    def issued(self, serial: int, der: bytes) -> None:
        """Record that the certificate was signed and passed all checks."""
        table = self._tables.certificates
        with self._writing() as db:
            db.execute(table.update().where(table.c.serial == f"{serial:x}").values(der=der))

    def revoke(self, serial: int, reason: str, at: datetime) -> bool:
        """Record a revocation; False if it was revoked before: then time and reason stay the same."""
        table = self._tables.certificates
        this = table.update().where(table.c.serial == f"{serial:x}", table.c.revoked_at.is_(None))
        with self._writing() as db:
            return db.execute(this.values(revoked_at=write_instant(at), reason=str(reason))).rowcount > 0

    def records(self) -> tuple[Record, ...]:
        """Give all certificates whose rows can be read, oldest first: a row that was changed stops no other certificate."""
        found = []
        for row in self._certificates():
            with suppress(*UNREADABLE_ROW):
                found.append(read_record(row))
        return tuple(found)

    def unreadable_rows(self) -> Iterator[Problem]:
        """Yield a problem for each row of a certificate that cannot be read."""
        for row in self._certificates():
            try:
                read_record(row)
            except UNREADABLE_ROW as wrong:
                yield self.changed_row(f"the certificate {row.serial} cannot be read ({wrong})")

    def record(self, issuer: CertificateKind, serial: int) -> Record | None:
        """Give the certificate with that issuer and serial number; None if there is none, or its row cannot be read."""
        table = self._tables.certificates
        asked = sql.select(table).where(table.c.serial == f"{serial:x}", table.c.issuer == str(issuer))
        with self._reading() as db:
            row = db.execute(asked).first()
        with suppress(*UNREADABLE_ROW):
            return read_record(row) if row is not None else None
        return None

    def find(self, text: str, digits: str, most: int) -> tuple[Record, ...]:
        """Give up to *most* certificates, the newest first, whose names have *text*, or whose serial number has *digits*.

        If none has, *digits* are searched for in the fingerprints. Without *digits*, only names are looked at. Rows that cannot
        be read are passed over.
        """
        table = self._tables.certificates
        wanted = sql.func.lower(table.c.names).contains(text, autoescape=True)
        if digits:
            wanted = wanted | table.c.serial.contains(digits, autoescape=True)
        newest = sql.select(table).order_by(self._tables.order.desc())
        with self._reading() as db:
            rows = db.execute(newest.where(wanted).limit(most)).all()
            if not rows and digits:
                serials = self._with_fingerprint(db, digits, most)
                rows = db.execute(newest.where(table.c.serial.in_(serials))).all()
        found = []
        for row in rows:
            with suppress(*UNREADABLE_ROW):
                found.append(read_record(row))
        return tuple(found)

    def _with_fingerprint(self, db: sql.Connection, digits: str, most: int) -> list[str]:
        """Give the serial numbers of certificates with *digits* in the SHA-256 of their octets."""
        table = self._tables.certificates
        octets = (
            sql.select(table.c.serial, table.c.der).where(table.c.der.is_not(None)).order_by(self._tables.order.desc())
        )
        serials = (row.serial for row in db.execute(octets) if digits in sha256(row.der).hexdigest())
        return list(islice(serials, most))

    def changed_row(self, what: str) -> Problem:
        """Return the problem of a row that was changed outside the CA."""
        return Problem(self.file, 0, "", what, "restore the ledger from your backup")

    def has_row(self, serial: int) -> bool:
        """Tell whether there is a row of this serial number, readable or not."""
        table = self._tables.certificates
        with self._reading() as db:
            return db.execute(sql.select(table.c.serial).where(table.c.serial == f"{serial:x}")).first() is not None

    def _certificates(self) -> Sequence[sql.Row[Any]]:
        with self._reading() as db:
            return db.execute(sql.select(self._tables.certificates).order_by(self._tables.order)).all()

    def reserve_list(
        self, issuer: CertificateKind, this_update: datetime, next_update: datetime, *, above: int = 0
    ) -> CrlTicket:
        """Journal a CRL before it is signed; returns the ticket for one signature.

        Its number is the last number plus one, also after a crash. It is above all numbers of leaders with a lower fencing
        number, and *above* that of the CRL before it. Raises `OperatorError` if the last number is beyond what can be reached by
        *this_update*.
        """
        table = self._tables.lists
        highest = sql.select(sql.func.coalesce(sql.func.max(table.c.number), 0)).where(table.c.issuer == str(issuer))
        with self._writing() as db:
            last = db.execute(highest).scalar_one()
            remedy = f"remove the rows of {table.name} with a number over {above}"
            number = CRL_NUMBERS.must_count(last, this_update, above, remedy=remedy) + 1
            number = max(number, self.fencing * FENCED, above + 1)
            revoked = self._revocations(db, issuer)
            row = (str(issuer), number, write_instant(this_update), write_instant(next_update), revoked)
            db.execute(table.insert().values(row))
        return CrlTicket(ListRecord(issuer, number, this_update, next_update, revoked))

    def list_without_row(
        self, issuer: CertificateKind, this_update: datetime, next_update: datetime, *, above: int
    ) -> CrlTicket:
        """Return the ticket for a CRL that the ledger does not store: its number follows *above*, that of the CRL before it."""
        number = max(self.fencing * FENCED, above + 1)
        return CrlTicket(ListRecord(issuer, number, this_update, next_update, 0))

    def jump(self, by: int, fencing: int = 0) -> None:
        """Increase the CRL numbers by *by*, as if that many CRLs had been signed, and to those of *fencing*.

        Use it after a ledger was restored: peers may have CRLs with numbers that the ledger does not have.
        """
        table = self._tables.lists
        newest = sql.select(table.c.issuer, sql.func.max(table.c.number).label("number")).group_by(table.c.issuer)
        with self._writing() as db:
            for issuer, number in db.execute(newest).all():
                last = db.execute(sql.select(table).where(table.c.issuer == issuer, table.c.number == number)).one()
                row = {**last._asdict(), "number": max(number + by, fencing * FENCED)}
                db.execute(table.insert().values(row))

    def last_list(self, issuer: CertificateKind) -> ListRecord | None:
        """Give the newest CRL in the journal whose row can be read, or None."""
        table = self._tables.lists
        newest = sql.select(table).where(table.c.issuer == str(issuer)).order_by(table.c.number.desc())
        with self._reading() as db:
            for row in db.execute(newest):
                with suppress(*UNREADABLE_ROW):
                    return read_list_record(row)
        return None

    def revocations(self, issuer: CertificateKind) -> int:
        """Give the number of certificates of *issuer* that were ever revoked."""
        with self._reading() as db:
            return self._revocations(db, issuer)

    def _revocations(self, db: sql.Connection, issuer: CertificateKind) -> int:
        table = self._tables.certificates
        counted = sql.select(sql.func.count()).where(table.c.issuer == str(issuer), table.c.revoked_at.is_not(None))
        return int(db.execute(counted).scalar_one())

    def copy_to(self, other: Ledger) -> None:
        """Copy everything into an empty ledger, in one transaction; a ledger with the same content stays as it is.

        Raises OperatorError if *other* has any other content.
        """
        with self._reading() as source, other._writing() as target:
            for mine, its in zip(self._tables.every, other._tables.every, strict=True):
                rows, there = _rows(source, self._tables, mine), _rows(target, other._tables, its)
                if there and there != rows:
                    remedy = "restore the ledger from your backup"
                    raise OperatorError(f"the ledgers {self!r} and {other!r} differ in {its.name}; {remedy}")
                if rows and not there:
                    target.execute(its.insert(), rows)

    @property
    def fencing(self) -> int:
        """The fencing number under which this process uses a shared ledger, 0 for a file."""
        lease = self._opened()[1]
        return lease.fencing if lease is not None else 0

    def _opened(self) -> tuple[Database, Lease | None]:
        """Open the database once, and migrate it if needed."""
        if self._made is None:
            if self._shared is not None:
                database = self._shared.open()
                lease: Lease | None = self._shared.lease(database)
            else:
                database, lease = Database(self.file, "CA's ledger"), None
            migrate(database.engine, LEDGER.with_prefix(self._tables.prefix))
            self._made = database, lease
        return self._made

    @contextmanager
    def _reading(self) -> Iterator[sql.Connection]:
        with self._border(), self._opened()[0].engine.connect() as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[sql.Connection]:
        """Run one write transaction, which excludes others. It is durable at the end.

        Raises `LedgerRefusedError` if this host may write, and the ledger does not store it.
        """
        may_write = False
        try:
            with self._border():
                database, lease = self._opened()
                if lease is not None:
                    lease.must_lead()
                with database.engine.begin() as db:
                    if lease is not None:
                        lease.enter(db)
                    else:
                        db.exec_driver_sql("BEGIN IMMEDIATE")
                    may_write = True
                    yield db
        except OperatorError as wrong:
            if may_write:
                raise LedgerRefusedError(wrong.message, wrong.problems) from None
            raise

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except sql.exc.SQLAlchemyError as wrong:
            remedy = "restore the ledger from your backup, or free the disk or the lock that the message names"
            reason = str(getattr(wrong, "orig", None) or wrong)
            raise OperatorError(
                "the CA's ledger cannot be used", (Problem(self.file, 0, "", reason, remedy),)
            ) from None


def _rows(db: sql.Connection, tables: LedgerTables, table: sql.Table) -> list[dict[str, Any]]:
    """Give the rows of a table in an order that two ledgers share."""
    order = (tables.order,) if table is tables.certificates else tuple(table.primary_key)
    rows = [row._asdict() for row in db.execute(sql.select(table).order_by(*order))]
    return [{name: value for name, value in row.items() if name != "seq"} for row in rows]
