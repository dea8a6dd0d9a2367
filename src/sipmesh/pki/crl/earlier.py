"""The last CRL on this host: its number, and its entries that the next one must have, even if the ledger lacks them.

An attacker who can write to the ledger of a management pool, which is in a shared database, cannot undo a revocation by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.pki.crl.builder import LIFETIME
from sipmesh.trust.x509.certificate import UNREADABLE, issued_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.issuance.profiles import CertificateKind
    from sipmesh.pki.ledger.records import Record


class EarlierCrl:
    """The CRL of *issuer* that is in *file*; without a readable CRL that *issuer* has signed, there is no entry."""

    def __init__(self, file: Path, issuer: x509.Certificate, kind: CertificateKind) -> None:
        self._file, self._issuer, self._kind = file, issuer, kind
        self.crl = _signed_by(file, issuer)

    @property
    def is_there(self) -> bool:
        """Whether there is such a CRL."""
        return self.crl is not None

    @property
    def number(self) -> int:
        """Its number, 0 if there is none."""
        return number_of(self.crl) if self.crl is not None else 0

    def lists(self, serial: int) -> bool:
        """Whether it lists a serial number."""
        return self.entry(serial) is not None

    def entry(self, serial: int) -> x509.RevokedCertificate | None:
        """Its entry of a serial number, None if it does not list the serial number."""
        return self.crl.get_revoked_certificate_by_serial_number(serial) if self.crl is not None else None

    def to_keep(
        self, records: Iterable[Record], listed: Collection[Record], at: datetime
    ) -> list[x509.RevokedCertificate]:
        """Give its entries that are not *listed* in the next CRL, but must be, as of the instant *at*.

        *records* is the ledger. An entry ends by the certificate itself, which the issuer has signed (RFC 5280 3.3), and not by
        a date of the ledger.
        """
        if self.crl is None:
            return []
        there = {record.serial for record in listed}
        missing = [entry for entry in self.crl if entry.serial_number not in there]
        known = {record.serial: record for record in records} if missing else {}
        return [entry for entry in missing if not self._is_over(known.get(entry.serial_number), at)]

    def _is_over(self, record: Record | None, at: datetime) -> bool:
        """Whether the certificate of a record has expired for one lifetime of a CRL."""
        try:
            certificate = x509.load_der_x509_certificate(record.der) if record is not None and record.der else None
        except UNREADABLE:
            return False
        if record is None or certificate is None or certificate.serial_number != record.serial:
            return False
        return issued_by(certificate, self._issuer) and certificate.not_valid_after_utc + LIFETIME[self._kind] <= at


def number_of(crl: x509.CertificateRevocationList) -> int:
    """Give the number of a CRL, 0 if it has none."""
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def _signed_by(file: Path, issuer: x509.Certificate) -> x509.CertificateRevocationList | None:
    try:
        crl = x509.load_pem_x509_crl(file.read_bytes())
        return crl if crl.is_signature_valid(issuer.public_key()) else None  # type: ignore[arg-type]
    except (OSError, *UNREADABLE):
        return None
