"""The status of one certificate of a CA: its ledger and its CRL are asked, and what either of them revokes is revoked."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.x509 import ocsp

from sipmesh.pki.crl.builder import reason_flag

if TYPE_CHECKING:
    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.issuance.profiles import CertificateKind


class CertificateState(NamedTuple):
    """The status for an OCSP response (RFC 6960 2.2). *revoked_at* and *reason* are of a revoked certificate only."""

    status: ocsp.OCSPCertStatus
    revoked_at: datetime | None = None
    reason: x509.ReasonFlags | None = None


UNKNOWN = CertificateState(ocsp.OCSPCertStatus.UNKNOWN)
"""Of a certificate that the CA has not issued, or was about to issue."""


def status_of(ca: EnterpriseCa, issuer: CertificateKind, serial: int) -> CertificateState:
    """Return the status of the certificate of *ca* with that *issuer* and serial number."""
    record = ca.records.of_serial(issuer, serial)
    if record is not None and record.revoked_at is not None:
        return CertificateState(ocsp.OCSPCertStatus.REVOKED, record.revoked_at, reason_flag(record.reason))
    listed = ca.crls.entry(issuer, serial)
    if listed is not None:  # a ledger that others can write to takes no revocation back
        return CertificateState(ocsp.OCSPCertStatus.REVOKED, listed.revocation_date_utc)
    if record is None or not ca.records.is_as_issued(record):
        return UNKNOWN
    return CertificateState(ocsp.OCSPCertStatus.GOOD)
