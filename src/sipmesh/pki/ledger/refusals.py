"""What the ledger raises when it does not store what this host may write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.pki.ledger.records import Record


class LedgerRefusedError(OperatorError):
    """The ledger does not store what this host may write: the database was changed, for example by a trigger."""


class UnrecordedRevocationError(OperatorError):
    """The certificates of *records* are revoked, and their CRL is published, but the ledger did not store it all."""

    def __init__(self, records: Sequence[Record], refused: OperatorError) -> None:
        what = f"revoked, and in the new CRL, but not in the CA's ledger: {refused.message}"
        super().__init__(f"{what}. Find out who has changed the ledger, and revoke again", refused.problems)
        self.records = tuple(records)

    @property
    def servers(self) -> dict[int, str]:
        """The serial numbers, each with its server."""
        return {record.serial: record.names[0] for record in self.records}
