"""The signed certificate timestamps of a certificate (RFC 6962 3.2, 3.3), verified with the keys of logs.

SCTs in the certificate are read, and those in the OCSP response that the peer has stapled. Those in a TLS extension are not: the
TLS library does not give them to us.
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
from cryptography.x509 import ocsp

from sipmesh.trust.formatting import tell_time
from sipmesh.trust.x509.certificate import UNREADABLE, extension

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sipmesh.trust.transparency.ct_log import CtLog

MOST_SCTS: Final = 16
"""SCTs of one certificate that are verified, and of one OCSP response; public certificates have two to five."""

SKEW: Final = timedelta(minutes=5)
_PRECERTIFICATE: Final = x509.certificate_transparency.LogEntryType.PRE_CERTIFICATE
_CERTIFICATE: Final = x509.certificate_transparency.LogEntryType.X509_CERTIFICATE
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Logged(NamedTuple):
    """The *operators* of the logs whose SCTs are valid, and why the other SCTs do not count."""

    operators: tuple[str, ...]
    faults: tuple[str, ...]


def logged_by(
    certificate: x509.Certificate, issuer: x509.Certificate, logs: Iterable[CtLog], at: datetime, stapled: bytes = b""
) -> Logged:
    """Return which of *logs* have a *certificate* of *issuer*, as its SCTs say at the instant *at*.

    *stapled* is the OCSP response of the handshake, which may have SCTs too. Each SCT is signed for this certificate, so the
    signature of the response does not have to be verified.
    """
    try:
        scts = list(extension(certificate, x509.PrecertificateSignedCertificateTimestamps) or ())
        signed = {_PRECERTIFICATE: _signed_before(certificate, issuer) if scts else b""}
    except UNREADABLE:
        return Logged((), ("its SCTs cannot be read",))
    scts = scts[:MOST_SCTS] + _stapled(stapled)
    signed[_CERTIFICATE] = _counted(certificate.public_bytes(Encoding.DER))
    known = {log.id: log for log in logs}
    operators: dict[str, None] = {}
    faults: dict[str, None] = {}
    for sct in scts[: 2 * MOST_SCTS]:
        log = known.get(sct.log_id)
        fault = (
            f"the log {sct.log_id.hex()[:16]} is not in the topology" if log is None else _fault(sct, signed, log, at)
        )
        if fault or log is None:
            faults[fault] = None
        else:
            operators[log.operator] = None
    return Logged(tuple(operators), tuple(faults) if scts else ("it has no SCT",))


def _signed_before(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """Return what a log signs of a precertificate: the hash of the issuer's key, and the TBSCertificate without SCTs."""
    key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).digest() + _counted(certificate.tbs_precertificate_bytes)


def _counted(octets: bytes) -> bytes:
    """Return octets after their number (RFC 6962 3.1)."""
    return len(octets).to_bytes(3, "big") + octets


def _stapled(response: bytes) -> list[x509.certificate_transparency.SignedCertificateTimestamp]:
    """Return the SCTs in an OCSP response (RFC 6962 3.3), none from what cannot be read: a peer chooses what it staples."""
    try:
        read = ocsp.load_der_ocsp_response(response) if response else None
        if read is None or read.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return []
        return list(read.single_extensions.get_extension_for_class(x509.SignedCertificateTimestamps).value)[:MOST_SCTS]
    except (x509.ExtensionNotFound, *UNREADABLE):
        return []


def _fault(
    sct: x509.certificate_transparency.SignedCertificateTimestamp,
    contents: Mapping[x509.certificate_transparency.LogEntryType, bytes],
    log: CtLog,
    at: datetime,
) -> str:
    """Say why an SCT of *log* does not count; "" if it does."""
    made = sct.timestamp.replace(tzinfo=UTC)
    if made > at + SKEW:
        return f"the SCT of {log.operator} is of {tell_time(made)}; the clock here says {tell_time(at)}"
    if log.until is not None and made > log.until:
        return f"the log of {log.operator} counts until {tell_time(log.until)}, and its SCT is of {tell_time(made)}"
    more, kind = sct.extension_bytes, int(sct.entry_type is _PRECERTIFICATE)
    time = (made - _EPOCH) // timedelta(milliseconds=1)
    signed = struct.pack(">BBQH", 0, 0, time, kind) + contents[sct.entry_type]
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
