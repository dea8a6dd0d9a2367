"""Answers one OCSP request. The response is signed by the CA that has issued the certificate (RFC 6960 2.2, 4.2.2.2).

A delegated signer would need a certificate and a key of its own on the same host, where the key of the issuing CA is. So it
would protect nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from sipmesh.errors import OperatorError
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.ocsp.certificate_status import status_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.issuance.profiles import CertificateKind

LARGEST_REQUEST: Final = 4096
"""Octets; a request about one certificate has about 100."""

LONGEST_NONCE: Final = 128
"""Octets (RFC 9654 2.1)."""

VALID: Final = timedelta(hours=1)
"""From thisUpdate to nextUpdate: a revocation is pushed to our own servers, and others ask again within this time."""

_HASHES: Final = (hashes.SHA1, hashes.SHA256, hashes.SHA384, hashes.SHA512)


class OcspAnswer(NamedTuple):
    """A response in DER. It may be given again until *until*; None if it may not: it has a nonce, or it is an error."""

    body: bytes
    until: datetime | None = None


def _error(status: ocsp.OCSPResponseStatus) -> OcspAnswer:
    return OcspAnswer(ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER))


MALFORMED: Final = _error(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
TRY_LATER: Final = _error(ocsp.OCSPResponseStatus.TRY_LATER)
UNAUTHORIZED: Final = _error(ocsp.OCSPResponseStatus.UNAUTHORIZED)
"""RFC 5019 2.2.3: "the responder is not capable of responding authoritatively to this request"."""


def answer(cas: Iterable[EnterpriseCa], request: bytes, at: datetime) -> OcspAnswer:
    """Answer a *request* in DER about a certificate of one of *cas*, at the instant *at*; no request raises an error."""
    if len(request) > LARGEST_REQUEST:
        return MALFORMED
    try:
        asked = ocsp.load_der_ocsp_request(request)
        nonce, hashed = _nonce(asked), asked.hash_algorithm
        serial = asked.serial_number
    except (ValueError, TypeError, NotImplementedError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return MALFORMED
    if nonce is not None and not 1 <= len(nonce) <= LONGEST_NONCE:
        return MALFORMED
    found = _issuer(cas, asked) if isinstance(hashed, _HASHES) else None
    if found is None:
        return UNAUTHORIZED
    try:
        return _signed(*found, asked, serial, nonce, at.replace(microsecond=0))
    except OperatorError:  # the key is not on this host
        return UNAUTHORIZED


def _nonce(asked: ocsp.OCSPRequest) -> bytes | None:
    for extension in asked.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            return extension.value.nonce
        if extension.critical:
            raise ValueError("a critical extension that is not known")
    return None


def _issuer(
    cas: Iterable[EnterpriseCa], asked: ocsp.OCSPRequest
) -> tuple[EnterpriseCa, CertificateKind, x509.Certificate] | None:
    """Return the CA that the request names by the hashes of its name and its key."""
    for ca in cas:
        for kind in ca.crls.kinds:
            certificate = ca.crls.certificate_of(kind)
            if ca.crls.has_key(kind) and _id(certificate, asked.hash_algorithm) == (
                asked.issuer_name_hash,
                asked.issuer_key_hash,
            ):
                return ca, kind, certificate
    return None


def _id(certificate: x509.Certificate, hashed: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    """Return issuerNameHash and issuerKeyHash of a CA (RFC 6960 4.1.1)."""
    name = hashes.Hash(hashed)
    name.update(certificate.subject.public_bytes())
    asked = ocsp.OCSPRequestBuilder().add_certificate(certificate, certificate, hashed).build()
    return name.finalize(), asked.issuer_key_hash


def _signed(
    ca: EnterpriseCa,
    kind: CertificateKind,
    issuer: x509.Certificate,
    asked: ocsp.OCSPRequest,
    serial: int,
    nonce: bytes | None,
    at: datetime,
) -> OcspAnswer:
    state = status_of(ca, kind, serial)
    built = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash,
            issuer_key_hash=asked.issuer_key_hash,
            serial_number=serial,
            algorithm=asked.hash_algorithm,
            cert_status=state.status,
            this_update=at,
            next_update=at + VALID,
            revocation_time=state.revoked_at,
            revocation_reason=state.reason,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, issuer)
    )
    if nonce is not None:
        built = built.add_extension(x509.OCSPNonce(nonce), critical=False)
    signed = CaSigner(kind, ca.folder / f"{kind}.key", issuer).sign_ocsp_response(built)
    return OcspAnswer(signed.public_bytes(Encoding.DER), None if nonce is not None else at + VALID)
