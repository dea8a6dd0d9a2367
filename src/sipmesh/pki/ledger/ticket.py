"""The permission to make one signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import LocalError
from sipmesh.pki.issuance.profiles import CertificateKind

if TYPE_CHECKING:
    from sipmesh.pki.ledger.records import ListRecord


class Ticket:
    """The permission to sign one certificate. The ledger gives it when the serial number is in the journal."""

    signs = "serial"

    def __init__(self, number: int, issuer: CertificateKind) -> None:
        self.number, self.issuer, self._spent = number, issuer, False

    def spend(self) -> int:
        """Use the ticket and return the number; LocalError on a second use, which is a bug."""
        if self._spent:
            raise LocalError(f"the ticket for {self.signs} {self.number:x} is spent")
        self._spent = True
        return self.number

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.number:x} {'spent' if self._spent else 'unspent'}>"


class CrlTicket(Ticket):
    """The permission to sign the CRL of *record*. The ledger gives it when the CRL number is in the journal."""

    signs = "CRL"

    def __init__(self, record: ListRecord) -> None:
        super().__init__(record.number, CertificateKind(record.issuer))
        self.record = record
