"""What the ledger has of a certificate and of a CRL. Instants are ISO 8601 with a time zone, serial numbers hex."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sipmesh.errors import LocalError
from sipmesh.strict_json import read_json
from sipmesh.trust.x509.certificate import LONGEST_SERIAL

UNREADABLE_ROW: Final = (ValueError, TypeError, RecursionError)
"""What the reader of a row raises if the row was changed outside the CA."""
YEARS: Final = range(1951, 9999)
"""The years that a certificate or a CRL can have in each time zone (RFC 5280 4.1.2.5), and one more lifetime of a CRL."""


@dataclass(frozen=True, slots=True)
class Record:
    """One certificate in the ledger. *der* is None if the CA stopped between journal and signature."""

    serial: int
    issuer: str  # "root", "issuing" or "devices"
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

    def may_be_valid(self, at: datetime) -> bool:
        """Return whether it is not revoked, and not expired at *at*; without a certificate the dates do not count."""
        return self.revoked_at is None and (self.der is None or self.not_after > at)

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


def can_be_listed(serial: int) -> bool:
    """Tell whether a certificate can have this serial number, and a CRL can list it (RFC 5280 4.1.2.2)."""
    return 0 < serial < 1 << 8 * LONGEST_SERIAL - 1


def read_record(row: Any) -> Record:
    """Read the row of a certificate; raises one of `UNREADABLE_ROW` if it was changed outside the CA."""
    names = tuple(map(str, read_json(row.names)))
    if not names:
        raise ValueError("it has no name")
    serial = int(row.serial, 16)
    if not can_be_listed(serial):
        raise ValueError("no CRL can list its serial number")
    return Record(
        serial=serial,
        issuer=row.issuer,
        kind=row.kind,
        names=names,
        not_before=_instant(row.not_before),
        not_after=_instant(row.not_after),
        der=bytes(row.der) if row.der is not None else None,
        revoked_at=_instant(row.revoked_at) if row.revoked_at else None,
        reason=row.reason,
    )


def read_list_record(row: Any) -> ListRecord:
    """Read the row of a CRL; raises one of `UNREADABLE_ROW` if it was changed outside the CA."""
    return ListRecord(row.issuer, row.number, _instant(row.this_update), _instant(row.next_update), row.revoked)


def write_instant(instant: datetime) -> str:
    """Write an instant as rows have it; raises `LocalError` without a time zone."""
    if instant.tzinfo is None:
        raise LocalError("an instant in the ledger needs a timezone")
    return instant.isoformat()


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    if instant.year not in YEARS:
        raise ValueError(f"{text} is not a time of a certificate")
    return instant
