"""The revocation of one certificate, with its line in the audit log: the command and the console use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipmesh.storage.audit_act import AuditAct

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.crl.builder import Reason
    from sipmesh.pki.ledger import Record


class Note(Protocol):
    """Writes a line into the audit log."""

    def __call__(self, act: AuditAct, /, **about: object) -> object:
        """Write what *act* is about."""


def revoke(generations: CaGenerations, serial: int, reason: Reason, at: datetime, note: Note) -> Record:
    """Revoke a certificate at the instant *at*, sign the CRL, and note it; raises `OperatorError` for an unknown serial."""
    record = generations.owner_of(serial).revoke(serial, reason, at)
    note(AuditAct.REVOKE, server=record.names[0], serial=record.serial_hex, because=str(record.reason))
    return record
