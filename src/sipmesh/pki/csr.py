"""Certificate signing requests (RFC 2986) of servers and operators whose key is made on their own machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.keys.algorithm import KeyAlgorithm, OwnPublicKey, digest
from sipmesh.trust.x509.certificate import UNREADABLE, rsa_excess
from sipmesh.trust.x509.sip_identity import is_host_name

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.pki.issuance.profiles import LeafKey
    from sipmesh.pki.keys.algorithm import OwnKey


def request_for(server: str, key: OwnKey) -> bytes:
    """Make a certificate signing request for *server*, in PEM. The CA adds the other names from the topology."""
    name = x509.DNSName(server)
    builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server[:64])]))
    builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
    return builder.sign(key, digest(key)).public_bytes(Encoding.PEM)


def read_request(content: bytes, file: Path) -> tuple[str, OwnPublicKey]:
    """Give the server name and the key of a request. Its signature proves that the sender has the key.

    Raises `OperatorError` if it is not a request, or has a wrong signature, a weak key or several names.
    """
    request, key = _read(content, file)
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    except (x509.ExtensionNotFound, *UNREADABLE):
        raise _unfit(file, "is not a readable request") from None
    if not isinstance(key, OwnPublicKey) or KeyAlgorithm.of(key) is None:
        raise _unfit(file, "has a key that is not ECDSA on P-256 or P-384, or ML-DSA-44")
    _must_be_signed(request, file)
    if len(names) != 1 or not is_host_name(names[0].lower()):
        raise _unfit(file, "does not name exactly one server")
    return names[0].lower(), key


def read_person_key(content: bytes, file: Path) -> LeafKey:
    """Give the key of a request of an operator, or for a device. Its signature proves that the sender has the key.

    The names of the request do not count.

    Raises `OperatorError` if it is not a request, has a wrong signature, or a key that is neither ECDSA nor RSA, or too large.
    """
    remedy = "make a request with: openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=NAME"
    request, key = _read(content, file, remedy)
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise _unfit(file, "has a key that is neither ECDSA nor RSA", remedy)
    if isinstance(key, rsa.RSAPublicKey) and (excess := rsa_excess(key.key_size, key.public_numbers().e)):
        raise _unfit(file, f"has {excess}", remedy)
    _must_be_signed(request, file, remedy)
    return key


REMEDY: Final = "make a request with: sipmesh join request"


def _read(content: bytes, file: Path, remedy: str = REMEDY) -> tuple[x509.CertificateSigningRequest, object]:
    """Read a request and its key. No signature is verified yet: with a large key, that takes long."""
    try:
        request = x509.load_pem_x509_csr(content)
        return request, request.public_key()
    except UNREADABLE:
        raise _unfit(file, "is not a readable request", remedy) from None


def _must_be_signed(request: x509.CertificateSigningRequest, file: Path, remedy: str = REMEDY) -> None:
    try:
        signed = request.is_signature_valid
    except UNREADABLE:
        raise _unfit(file, "is not a readable request", remedy) from None
    if not signed:
        raise _unfit(file, "is not signed with its own key", remedy)


def _unfit(file: Path, reason: str, remedy: str = REMEDY) -> OperatorError:
    return OperatorError("the certificate is not issued", (Problem(file, 0, "", reason, remedy),))
