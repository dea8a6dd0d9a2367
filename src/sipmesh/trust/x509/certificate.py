"""One certificate: parsed once, with all exceptions of the library translated here."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.utils import CryptographyDeprecationWarning

from sipmesh.errors import SipmeshError
from sipmesh.foreign_errors import reason_of

E = TypeVar("E", bound=x509.ExtensionType)

# The exceptions of cryptography for a certificate that it cannot parse. They depend on the part that is read.
UNREADABLE = (
    ValueError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,  # a future error of the library; an exception if warnings are errors
)

KEPT = 256  # parsed certificates in the cache: a few CAs, and the peers of a large pool
LARGE = 4_096  # octets; real certificates have 600 to 2,500. A parsed one takes up to 50 times its octets
LARGE_KEPT = 2  # one handshake reads it twice
DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # id-kp-documentSigning (RFC 9336 3)
LONGEST_SERIAL = 20  # octets (RFC 5280 4.1.2.2)
SHORTEST_RSA = 2048  # NIST SP 800-57: 112 bits, as OpenSSL's security level 2 requires
LONGEST_RSA = 8192  # a use of the public key takes 0.2 ms with so many bits, and 0.8 ms with OpenSSL's limit of 16,384
LONGEST_EXPONENT = 32  # bits; real keys have 3 or 65537. With an exponent of 3,000 bits, a use takes 5 ms
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
WEAK_HASHES = (hashes.MD5, hashes.SHA1, hashes.SHA224)

CertificateId = tuple[bytes, int]
"""One certificate as a CRL identifies it: the issuer's name in DER, and the serial number (RFC 5280 5.1.2.6)."""


class MalformedCertificateError(SipmeshError):
    """A presented certificate cannot be parsed. The text says why."""


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, in lower-case hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def read_certificate(der: bytes) -> x509.Certificate:
    """Parse *der*, including all parts that the library parses lazily, so that no later check fails on them.

    The result is cached, because most chains have the same issuers. It does not depend on the time. Of large certificates few
    are cached: a stranger may present them.

    Raises:
        MalformedCertificateError: A part cannot be parsed.
    """
    return _parsed_large(der) if len(der) > LARGE else _parsed(der)


def _parse(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        for part in _PARTS:
            getattr(certificate, part)
    except (TypeError, *UNREADABLE) as wrong:  # TypeError: some extensions refuse values that they have parsed
        raise MalformedCertificateError(reason_of(wrong)) from None
    if not 0 < certificate.serial_number < 1 << 8 * LONGEST_SERIAL:
        raise MalformedCertificateError("the serial is not positive, or longer than 20 octets (RFC 5280 4.1.2.2)")
    return certificate


_parsed = lru_cache(maxsize=KEPT)(_parse)
_parsed_large = lru_cache(maxsize=LARGE_KEPT)(_parse)

_PARTS = (
    "version",
    "serial_number",
    "subject",
    "issuer",
    "extensions",
    "not_valid_before_utc",
    "not_valid_after_utc",
    "signature_algorithm_oid",
    "signature_algorithm_parameters",
)


def extension(certificate: x509.Certificate, wanted: type[E]) -> E | None:
    """Return the value of one extension, or None if it is absent."""
    by_type = _by_type if len(certificate.tbs_certificate_bytes) > LARGE else _by_type_cached
    return cast("E | None", by_type(certificate).get(wanted))


def _by_type(certificate: x509.Certificate) -> dict[type[x509.ExtensionType], x509.ExtensionType]:
    try:
        return {type(entry.value): entry.value for entry in certificate.extensions}
    except TypeError as wrong:  # see read_certificate
        raise ValueError(str(wrong)) from None


_by_type_cached = lru_cache(maxsize=KEPT)(_by_type)


def is_authority(certificate: x509.Certificate) -> bool:
    """Tell whether the basic constraints of *certificate* say that it is a CA."""
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def may_sign_certificates(certificate: x509.Certificate) -> bool:
    """Tell whether this key may sign certificates: there is no key usage, or it allows that (RFC 5280 4.2.1.3)."""
    usage = extension(certificate, x509.KeyUsage)
    return usage is None or usage.key_cert_sign


def weakness(
    certificate: x509.Certificate,
    *,
    signature: bool = True,
    weak: tuple[type[hashes.HashAlgorithm], ...] = WEAK_HASHES,
) -> str | None:
    """Describe a weak key of *certificate*, or a weak *signature* on it; None if both are strong."""
    try:
        key = certificate.public_key()
        algorithm = certificate.signature_hash_algorithm if signature else None
    except UNREADABLE as wrong:
        return f"a key or signature of an unknown kind ({reason_of(wrong)})"
    if isinstance(algorithm, weak):
        return f"a signature over {algorithm.name}"
    if isinstance(key, rsa.RSAPublicKey):
        is_short = key.key_size < SHORTEST_RSA
        return f"an RSA key of {key.key_size} bits" if is_short else rsa_excess(key.key_size, key.public_numbers().e)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return None if isinstance(key.curve, CURVES) else f"an EC key on {key.curve.name}"
    strong = isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | mldsa.MLDSA44PublicKey)
    if isinstance(key, mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey):
        return "a key of ML-DSA, which counts with the parameter set 44 alone"
    return None if strong else f"a {type(key).__name__}"


def rsa_excess(bits: int, exponent: int) -> str | None:
    """Describe an RSA key with which no signature is verified, because that takes too long; None for another one."""
    if bits > LONGEST_RSA:
        return f"an RSA key of {bits} bits, more than {LONGEST_RSA}"
    length = exponent.bit_length()
    return (
        f"an RSA key with an exponent of {length} bits, more than {LONGEST_EXPONENT}"
        if length > LONGEST_EXPONENT
        else None
    )


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether *issuer* has signed *certificate*, and has the name of its issuer. No other property is checked."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, *UNREADABLE):  # TypeError: a key type without signatures
        return False
    return True
