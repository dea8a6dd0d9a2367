"""Revocation and new CRLs, with their lines in the audit log: the commands and the console use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.storage.audit_act import AuditAct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.crl.builder import Reason
    from sipmesh.pki.ledger import Record
    from sipmesh.storage.audit_act import Note


def revoke(generations: CaGenerations, serial: int, reason: Reason, at: datetime, note: Note) -> Record:
    """Revoke a certificate at the instant *at*, sign the CRL, and note it; raises `OperatorError` for an unknown serial."""
    record = generations.owner_of(serial).revoke(serial, reason, at)
    note(AuditAct.REVOKE, server=record.names[0], serial=record.serial_hex, because=str(record.reason))
    return record


def sign_crls(
    generations: CaGenerations, at: datetime, note: Note
) -> Iterator[tuple[Path, CertificateKind, int | None]]:
    """Sign new CRLs at the instant *at*, and note each; yields the file, the kind of its CA, and the number.

    The number is None for a root whose key is on another machine: its CRL is not signed.
    """
    for ca in generations.alive:
        for kind in (CertificateKind.ROOT, CertificateKind.ISSUING):
            if kind is CertificateKind.ROOT and not ca.crls.has_key(kind):
                yield ca.folder / "root.crl", kind, None
                continue
            file, number = ca.crls.publish(at, kind), _number(ca, kind, at)
            note(AuditAct.LIST, file=str(file.relative_to(generations.folder.parent)), number=number)
            yield file, kind, number


def _number(ca: EnterpriseCa, kind: CertificateKind, at: datetime) -> int:
    return next(status.made.number for status in ca.status(at).lists if status.kind == kind and status.made)
