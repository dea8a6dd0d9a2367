"""The journal of the CA. A signature is journalled before it is made, so that a crash leaves no unknown certificate.

It is SQLite in WAL mode with full synchronisation. Each operation has its own connection, so that several processes (a command,
running servers) can use one CA. Instants are ISO 8601 with a time zone. Serial numbers are hex without leading zeros.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError, OperatorError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sipmesh.pki.issuance.profiles import CertificateKind

FENCED: Final = 10**9
"""A CRL number is at least the fencing number of management times this, so that the CRLs of each leader follow those before."""

BUSY_S = 10.0  # how long a process waits for the transaction of another process

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS certificates (
    serial TEXT PRIMARY KEY, issuer TEXT NOT NULL, kind TEXT NOT NULL, names TEXT NOT NULL,
    not_before TEXT NOT NULL, not_after TEXT NOT NULL, reserved_at TEXT NOT NULL,
    der BLOB, revoked_at TEXT, reason TEXT) STRICT;
CREATE TABLE IF NOT EXISTS lists (
    issuer TEXT NOT NULL, number INTEGER NOT NULL, this_update TEXT NOT NULL, next_update TEXT NOT NULL,
    revoked INTEGER NOT NULL, PRIMARY KEY (issuer, number)) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One certificate in the ledger. *der* is None if the CA stopped between journal and signature."""

    serial: int
    issuer: str  # "root" or "issuing"
    kind: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    der: bytes | None
    revoked_at: datetime | None
    reason: str | None

    @property
    def serial_hex(self) -> str:
        """The serial number in hex, as in other tools."""
        return f"{self.serial:x}"

    def __repr__(self) -> str:
        state = "revoked" if self.revoked_at else "issued" if self.der else "abandoned"
        return f"<Record {self.serial_hex} {self.kind} {'/'.join(self.names[:1])} {state}>"


@dataclass(frozen=True, slots=True)
class ListRecord:
    """One CRL in the ledger. *revoked* is the number of revocations in the ledger when it was made."""

    issuer: str
    number: int
    this_update: datetime
    next_update: datetime
    revoked: int


class Ticket:
    """The permission to make one signature. The ledger gives it when the serial number is in the journal."""

    def __init__(self, serial: int, issuer: CertificateKind) -> None:
        self.serial, self.issuer, self._spent = serial, issuer, False

    def spend(self) -> int:
        """Use the ticket and return the serial number; LocalError on a second use, which is a bug."""
        if self._spent:
            raise LocalError(f"the ticket for serial {self.serial:x} is spent")
        self._spent = True
        return self.serial

    def __repr__(self) -> str:
        return f"<Ticket {self.serial:x} {'spent' if self._spent else 'unspent'}>"


class Ledger:
    """The journal in one SQLite file. All methods raise OperatorError if the file cannot be used."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __repr__(self) -> str:
        return f"<Ledger {self.file}>"

    @classmethod
    def create(cls, file: Path, facts: Mapping[str, str]) -> Ledger:
        """Make an empty ledger with *facts* about its CA."""
        ledger = cls(file)
        with ledger._transaction() as db:
            db.executemany("INSERT INTO facts VALUES (?, ?)", list(facts.items()))
        return ledger

    def facts(self) -> dict[str, str]:
        """Give the facts about the CA from its creation."""
        with self._transaction() as db:
            return dict(db.execute("SELECT key, value FROM facts").fetchall())

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
        row = (f"{serial:x}", issuer, kind, json.dumps(names), *map(_iso, validity), _iso(at))
        with self._transaction() as db:
            db.execute("INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)", row)
        return Ticket(serial, issuer)

    def issued(self, serial: int, der: bytes) -> None:
        """Record that the certificate was signed and passed all checks."""
        with self._transaction() as db:
            db.execute("UPDATE certificates SET der = ? WHERE serial = ?", (der, f"{serial:x}"))

    def revoke(self, serial: int, reason: str, at: datetime) -> bool:
        """Record a revocation; False if it was revoked before: then time and reason stay the same."""
        changed = "UPDATE certificates SET revoked_at = ?, reason = ? WHERE serial = ? AND revoked_at IS NULL"
        with self._transaction() as db:
            return db.execute(changed, (_iso(at), reason, f"{serial:x}")).rowcount > 0

    def records(self) -> tuple[Record, ...]:
        """Give all certificates, oldest first."""
        wanted = "serial, issuer, kind, names, not_before, not_after, der, revoked_at, reason"
        with self._transaction() as db:
            rows = db.execute(f"SELECT {wanted} FROM certificates ORDER BY rowid").fetchall()  # noqa: S608 - a constant
        return tuple(map(_record, rows))

    def reserve_list(self, issuer: CertificateKind, this_update: datetime, next_update: datetime) -> ListRecord:
        """Journal a CRL before it is signed. Its number is the last number plus one, also after a crash."""
        with self._transaction() as db:
            number = db.execute(
                "SELECT coalesce(max(number), 0) + 1 FROM lists WHERE issuer = ?", (issuer,)
            ).fetchone()[0]
            revoked = self._revocations(db, issuer)
            row = (issuer, number, _iso(this_update), _iso(next_update), revoked)
            db.execute("INSERT INTO lists VALUES (?, ?, ?, ?, ?)", row)
        return ListRecord(issuer, number, this_update, next_update, revoked)

    def jump(self, by: int, fencing: int = 0) -> None:
        """Increase the CRL numbers by *by*, as if that many CRLs had been signed, and to those of *fencing*.

        Use it after a ledger was restored: peers may have CRLs with numbers that the ledger does not have.
        """
        with self._transaction() as db:
            db.execute(
                "INSERT INTO lists SELECT issuer, max(max(number) + ?, ?), this_update, next_update, revoked"
                " FROM lists GROUP BY issuer",
                (by, fencing * FENCED),
            )

    def last_list(self, issuer: CertificateKind) -> ListRecord | None:
        """Give the newest CRL in the journal, or None."""
        wanted = "SELECT issuer, number, this_update, next_update, revoked FROM lists WHERE issuer = ?"
        with self._transaction() as db:
            row = db.execute(f"{wanted} ORDER BY number DESC LIMIT 1", (issuer,)).fetchone()
        return ListRecord(row[0], row[1], _instant(row[2]), _instant(row[3]), row[4]) if row else None

    def revocations(self, issuer: CertificateKind) -> int:
        """Give the number of certificates of *issuer* that were ever revoked."""
        with self._transaction() as db:
            return self._revocations(db, issuer)

    @staticmethod
    def _revocations(db: sqlite3.Connection, issuer: CertificateKind) -> int:
        counted = "SELECT count(*) FROM certificates WHERE issuer = ? AND revoked_at IS NOT NULL"
        return int(db.execute(counted, (issuer,)).fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Run one exclusive write transaction. It is durable at the end."""
        try:
            with closing(sqlite3.connect(self.file, timeout=BUSY_S, isolation_level=None)) as db:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("BEGIN IMMEDIATE")
                for statement in _SCHEMA.strip().split(";\n"):
                    db.execute(statement)
                yield db
                db.execute("COMMIT")  # an exception skips this, and closing rolls back
        except sqlite3.Error as wrong:
            remedy = "restore the ledger from your backup, or free the disk or the lock that the message names"
            raise OperatorError(
                "the CA's ledger cannot be used", (Problem(self.file, 0, "", str(wrong), remedy),)
            ) from None


def _record(row: tuple[str, str, str, str, str, str, bytes | None, str | None, str | None]) -> Record:
    serial, issuer, kind, names, not_before, not_after, der, revoked_at, reason = row
    return Record(
        serial=int(serial, 16),
        issuer=issuer,
        kind=kind,
        names=tuple(json.loads(names)),
        not_before=_instant(not_before),
        not_after=_instant(not_after),
        der=der,
        revoked_at=_instant(revoked_at) if revoked_at else None,
        reason=reason,
    )


def _iso(instant: datetime) -> str:
    if instant.tzinfo is None:
        raise LocalError("an instant in the ledger needs a timezone")
    return instant.isoformat()


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
