"""The status of a certificate is that of its ledger and its CRL."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.x509 import ocsp

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.issued import Issued
from sipmesh.pki.ocsp.certificate_status import UNKNOWN, status_of


def test_status_is_good_then_revoked_with_its_reason(ca: EnterpriseCa, issued: Issued, noon: datetime) -> None:
    serial = issued.certificate.serial_number
    assert status_of(ca, CertificateKind.ISSUING, serial).status is ocsp.OCSPCertStatus.GOOD
    ca.revoke(serial, Reason.SUPERSEDED, noon)
    revoked = (ocsp.OCSPCertStatus.REVOKED, noon, x509.ReasonFlags.superseded)
    assert status_of(ca, CertificateKind.ISSUING, serial) == revoked


def test_serial_number_of_another_ca_is_unknown(ca: EnterpriseCa, issued: Issued) -> None:
    assert status_of(ca, CertificateKind.ROOT, issued.certificate.serial_number) == UNKNOWN
    assert status_of(ca, CertificateKind.ISSUING, 1) == UNKNOWN
