"""The permission to make one signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import LocalError

if TYPE_CHECKING:
    from sipmesh.pki.issuance.profiles import CertificateKind


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
