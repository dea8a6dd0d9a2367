"""The signed certificate timestamps in a certificate (RFC 6962 3.2, 3.3), verified with the keys of logs.

SCTs in the certificate are read. Those in a TLS extension are not: the TLS library does not give them to us. Those in an OCSP
response are rare, and not read.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from sipmesh.trust.formatting import tell_time
from sipmesh.trust.x509.certificate import UNREADABLE, extension

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.trust.transparency.ct_log import CtLog

MOST_SCTS: Final = 16
"""SCTs of one certificate that are verified; public certificates have two to five."""

SKEW: Final = timedelta(minutes=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Logged(NamedTuple):
    """The *operators* of the logs whose SCTs are valid, and why the other SCTs do not count."""

    operators: tuple[str, ...]
    faults: tuple[str, ...]


def logged_by(certificate: x509.Certificate, issuer: x509.Certificate, logs: Iterable[CtLog], at: datetime) -> Logged:
    """Return which of *logs* have a *certificate* of *issuer*, as its SCTs say at the instant *at*."""
    try:
        scts = list(extension(certificate, x509.PrecertificateSignedCertificateTimestamps) or ())
        before = _signed_before(certificate, issuer) if scts else b""
    except UNREADABLE:
        return Logged((), ("its SCTs cannot be read",))
    known = {log.id: log for log in logs}
    operators: dict[str, None] = {}
    faults: dict[str, None] = {}
    for sct in scts[:MOST_SCTS]:
        log = known.get(sct.log_id)
        fault = (
            f"the log {sct.log_id.hex()[:16]} is not in the topology" if log is None else _fault(sct, before, log, at)
        )
        if fault or log is None:
            faults[fault] = None
        else:
            operators[log.operator] = None
    return Logged(tuple(operators), tuple(faults) if scts else ("it has no SCT",))


def _signed_before(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """Return what a log signs of a precertificate: the hash of the issuer's key, and the TBSCertificate without SCTs."""
    key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    tbs = certificate.tbs_precertificate_bytes
    return hashlib.sha256(key).digest() + len(tbs).to_bytes(3, "big") + tbs


def _fault(
    sct: x509.certificate_transparency.SignedCertificateTimestamp, before: bytes, log: CtLog, at: datetime
) -> str:
    """Say why an SCT of *log* does not count; "" if it does."""
    made = sct.timestamp.replace(tzinfo=UTC)
    if made > at + SKEW:
        return f"the SCT of {log.operator} is of {tell_time(made)}; the clock here says {tell_time(at)}"
    if log.until is not None and made > log.until:
        return f"the log of {log.operator} counts until {tell_time(log.until)}, and its SCT is of {tell_time(made)}"
    if sct.entry_type is not x509.certificate_transparency.LogEntryType.PRE_CERTIFICATE:
        return f"the SCT of {log.operator} is not for a precertificate"
    more = sct.extension_bytes
    signed = struct.pack(">BBQH", 0, 0, (made - _EPOCH) // timedelta(milliseconds=1), 1) + before
    signed += len(more).to_bytes(2, "big") + more
    return "" if _is_signed(log.key, sct.signature, signed) else f"the SCT of {log.operator} is not signed by its log"


def _is_signed(key: bytes, signature: bytes, signed: bytes) -> bool:
    """Verify a signature of a log, which is ECDSA or RSA with SHA-256 (RFC 6962 2.1.4)."""
    try:
        found = load_der_public_key(key)
        if isinstance(found, ec.EllipticCurvePublicKey):
            found.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        elif isinstance(found, rsa.RSAPublicKey):
            found.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            return False
    except (InvalidSignature, *UNREADABLE):
        return False
    return True
