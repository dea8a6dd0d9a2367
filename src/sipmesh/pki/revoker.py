"""Revokes certificates of one CA: in its ledger, and in the CRL that is published at once."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.ledger.refusals import LedgerRefusedError, UnrecordedRevocationError
from sipmesh.pki.lock import ca_lock

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.crl.builder import Reason
    from sipmesh.pki.crl.updater import CrlUpdater
    from sipmesh.pki.ledger.checked_records import CheckedRecords
    from sipmesh.pki.ledger.ledger import Ledger
    from sipmesh.pki.ledger.records import Record

NOTHING_LOST: Final = MappingProxyType[int, str]({})


class Revoker:
    """Revokes what the CA in *folder* has issued. Instants are timezone-aware."""

    def __init__(self, folder: Path, ledger: Ledger, records: CheckedRecords, crls: CrlUpdater) -> None:
        self._folder, self._ledger, self._records, self._crls = folder, ledger, records, crls

    def revoke(self, serial: int, reason: Reason, at: datetime, lost: str = "") -> Record:
        """Revoke one certificate and publish the new CRL. If it is revoked already, time and reason stay the same.

        *lost* is the name of a server whose certificate the ledger may have lost: then no row of the ledger is needed.
        Raises `UnrecordedRevocationError` if it is revoked, and the ledger does not store that.
        """
        with ca_lock(self._folder):
            record = self._records.find_lost(serial, lost, at) if lost else self._records.find(serial)
            self._records.must_be_ours(record)
            if record.kind == CertificateKind.ROOT:
                remedy = "remove it from `anchors` in every topology instead"
                problem = Problem(self._folder / "root.pem", 0, "", "is a root certificate", remedy)
                raise OperatorError("a root cannot be revoked", (problem,))
            record = _revoked(record, reason, at)
            self._revoke((record,), reason, at)
            return record

    def revoke_servers(
        self, servers: Collection[str], reason: Reason, at: datetime, lost: Mapping[int, str] = NOTHING_LOST
    ) -> dict[int, str]:
        """Revoke all valid certificates of *servers*, with document signers and *lost* certificates, and publish one CRL.

        *lost* has the serial numbers of certificates that the ledger may have lost, each with its server.

        Returns the revoked serial numbers, each with its server; empty if there was nothing to revoke. Rows that were changed are
        passed over: `CheckedRecords.must_be_unchanged` finds them. Raises as `revoke` does if the ledger does not store it.
        """
        with ca_lock(self._folder):
            again = [self._records.find_lost(serial, name, at) for serial, name in lost.items()]
            found = {
                record.serial: _revoked(record, reason, at) for record in (*again, *self._records.valid_of(servers, at))
            }
            if found:
                self._revoke(tuple(found.values()), reason, at)
        return {serial: record.names[0] for serial, record in found.items()}

    def revoke_all(self, records: Sequence[Record], reason: Reason, at: datetime) -> None:
        """Revoke *records* of one CA, at least one, and publish one CRL; raises as `revoke` does."""
        with ca_lock(self._folder):
            self._revoke([_revoked(record, reason, at) for record in records], reason, at)

    def _revoke(self, records: Sequence[Record], reason: Reason, at: datetime) -> None:
        """Record revocations of certificates of one CA, and publish its CRL, which does not wait for the ledger.

        Raises `UnrecordedRevocationError` at the end if the ledger does not store them.
        """
        refused: LedgerRefusedError | None = None
        for record in records:
            try:
                self._record_revocation(record, reason, at)
            except LedgerRefusedError as wrong:
                refused = wrong
        try:
            self._crls.publish_locked(at, CertificateKind(records[0].issuer), records)
        except LedgerRefusedError as wrong:
            refused = wrong
        if refused is not None:
            raise UnrecordedRevocationError(records, refused)

    def _record_revocation(self, record: Record, reason: Reason, at: datetime) -> None:
        """Record one revocation. A certificate that the ledger has lost is journalled again; its validity is not known."""
        if not self._ledger.has_row(record.serial):
            kind, until = CertificateKind(record.kind), record.not_after
            self._ledger.reserve(record.serial, kind.issuer, kind, record.names, (record.not_before, until), at)
        self._ledger.revoke(record.serial, reason, at)


def _revoked(record: Record, reason: Reason, at: datetime) -> Record:
    """Return *record* as it is revoked; a certificate that is revoked already keeps its time and reason."""
    return record if record.revoked_at is not None else replace(record, revoked_at=at, reason=str(reason))
