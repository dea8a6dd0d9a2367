"""A signing request (RFC 2986) that comes by EST or ACME: it may ask only for what the CA gives anyway.

Names and usages come from the topology, never from the request. A request that asks for anything else is refused, and not
changed in silence: its sender would get a certificate for a use that was not expected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from sipmesh.errors import RemoteError
from sipmesh.pki.keys.algorithm import KeyAlgorithm, OwnPublicKey
from sipmesh.sip.text import ascii_lower
from sipmesh.trust.x509.certificate import SHORTEST_RSA, UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sipmesh.pki.issuance.profiles import LeafKey

UNREADABLE_REQUEST: Final = "the request cannot be read as a PKCS #10 request (RFC 2986)"
LONGEST_RSA: Final = 4_096
LARGEST: Final = 8 << 10
"""Octets of a request, in DER: one with a key on P-384 and forty names has 4,000."""

_OF_SERVER: Final = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH})
_OF_DEVICE: Final = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH})
_SPELLED: Final = {_OF_SERVER: "servers have serverAuth and clientAuth", _OF_DEVICE: "devices have clientAuth alone"}
_READ: Final = frozenset(
    {
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
    }
)
_WRITTEN_BY_US: Final = frozenset(
    {
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    }
)
"""Extensions whose content in a request is passed over: libest's client copies all of its present certificate."""


class UnfitRequestError(RemoteError):
    """The CA does not certify this request; the text is the reason. *is_key* tells whether only the key is unfit."""

    def __init__(self, message: str, *, is_key: bool = False) -> None:
        super().__init__(message, rule="rule R6", status=403)
        self.why, self.is_key = message, is_key


def requested_key(der: bytes, names: Collection[str]) -> OwnPublicKey:
    """Return the key of the request *der* of a server, which may ask for *names* only, and must ask for one of them.

    The names are in lower case. Raises `UnfitRequestError`. The signature proves that the sender has the key.
    """
    request, key = _read(der)
    if not isinstance(key, OwnPublicKey) or KeyAlgorithm.of(key) is None:
        raise UnfitRequestError("the key of the request is not ECDSA on P-256 or P-384, or ML-DSA-44", is_key=True)
    _must_fit(request, frozenset(names), _OF_SERVER)
    return key


def requested_device_key(der: bytes, names: Collection[str]) -> LeafKey:
    """Return the key of the request *der* of a device, as `requested_key` does; a phone may have an RSA key."""
    request, key = _read(der)
    is_curve = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
    is_rsa = isinstance(key, rsa.RSAPublicKey) and SHORTEST_RSA <= key.key_size <= LONGEST_RSA
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) or not (is_curve or is_rsa):
        why = f"the key of the request is not ECDSA on P-256 or P-384, or RSA of {SHORTEST_RSA} to {LONGEST_RSA} bits"
        raise UnfitRequestError(why, is_key=True)
    _must_fit(request, frozenset(names), _OF_DEVICE)
    return key


def _read(der: bytes) -> tuple[x509.CertificateSigningRequest, object]:
    if len(der) > LARGEST:
        raise UnfitRequestError(f"the request is larger than {LARGEST} octets")
    try:
        request = x509.load_der_x509_csr(der)
        return request, request.public_key()
    except (TypeError, *UNREADABLE):
        raise UnfitRequestError(UNREADABLE_REQUEST) from None


def _must_fit(
    request: x509.CertificateSigningRequest, names: frozenset[str], usages: frozenset[x509.ObjectIdentifier]
) -> None:
    """Raise `UnfitRequestError` unless a request has a valid signature, and asks for *names* and *usages* only."""
    try:
        is_signed, faults = request.is_signature_valid, list(_faults(request, names, usages))
    except (TypeError, *UNREADABLE):
        raise UnfitRequestError(UNREADABLE_REQUEST) from None
    if not is_signed:
        raise UnfitRequestError("the request is not signed with its own key")
    if faults:
        raise UnfitRequestError("; ".join(faults))


def _faults(
    request: x509.CertificateSigningRequest, names: frozenset[str], usages: frozenset[x509.ObjectIdentifier]
) -> Iterator[str]:
    asked = [*_common_names(request), *_alternative_names(request)]
    if not asked:
        yield f"the request has no name; it may name {_listed(names)}"
    for wrong in sorted({one for one in asked if one not in names}):
        yield f"the request asks for {wrong!a}; it may name {_listed(names)}"
    for extension in request.extensions:
        yield from _faults_of(extension, usages)


def _common_names(request: x509.CertificateSigningRequest) -> Iterator[str]:
    for attribute in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        yield ascii_lower(str(attribute.value))


def _alternative_names(request: x509.CertificateSigningRequest) -> Iterator[str]:
    """Give each name that the request asks for: a SIP URI without its scheme, and a name of a rare type with the type."""
    try:
        found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in found:
        text = ascii_lower(str(name.value))
        if isinstance(name, x509.UniformResourceIdentifier):
            yield text.removeprefix("sip:")
        else:
            yield text if isinstance(name, x509.DNSName) else f"{type(name).__name__} {text}"


def _faults_of(
    extension: x509.Extension[x509.ExtensionType], usages: frozenset[x509.ObjectIdentifier]
) -> Iterator[str]:
    value = extension.value
    if extension.oid not in _READ | _WRITTEN_BY_US:
        yield f"the request asks for the extension {extension.oid.dotted_string}, which the CA does not issue"
    if isinstance(value, x509.BasicConstraints) and value.ca:
        yield "the request asks for a CA certificate, and this CA issues none"
    if isinstance(value, x509.KeyUsage) and value != _KEY_USAGE:
        yield "the request asks for a key usage other than digitalSignature"
    if isinstance(value, x509.ExtendedKeyUsage) and not usages.issuperset(value):
        others = ", ".join(sorted(oid.dotted_string for oid in set(value) - usages))
        yield f"the request asks for the usage {others}; {_SPELLED[usages]}"


_KEY_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
