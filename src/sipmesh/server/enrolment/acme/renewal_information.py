"""When a client should renew its certificate (ARI, RFC 9773)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.enrolment.acme.certificate_id import CertificateId
from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.trust.x509.certificate import extension, issued_by

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AGAIN_S: Final = 6 * 3_600
"""Seconds until a client asks again: it learns of a revocation within that time."""

AT_ONCE: Final = timedelta(hours=1)
PART: Final = 12
"""The window is a twelfth of the life of a certificate long, and begins at two thirds, as for our own servers."""


def renewal_information(ca: Path, given: str, at: datetime) -> Mapping[str, object]:
    """Return the window in which to renew the certificate *given*; raises `AcmeProblemError` for a certificate that is not ours.

    It is over if the certificate was revoked, or if another issuing CA is in use: the client then renews at once.
    """
    wanted, generations = CertificateId.read(given), CaGenerations(ca)
    found = generations.as_issued({wanted.serial}).get(wanted.serial)
    certificate = x509.load_der_x509_certificate(found[1].der) if found is not None and found[1].der else None
    issuer = extension(certificate, x509.AuthorityKeyIdentifier) if certificate is not None else None
    if found is None or certificate is None or issuer is None or issuer.key_identifier != wanted.issuer:
        raise AcmeProblemError("malformed", "our CA has issued no such certificate", 404)
    is_current = found[1].revoked_at is None and issued_by(certificate, generations.current.issuing)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    start = begin + (end - begin) * 2 / 3 if is_current else at - 2 * AT_ONCE
    until = start + (end - begin) / PART if is_current else at - AT_ONCE
    return {"suggestedWindow": {"start": _instant(start), "end": _instant(until)}}


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
