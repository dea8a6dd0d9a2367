"""A signing request (RFC 2986) that comes by EST or ACME: it may ask only for what the CA gives anyway.

Names and usages come from the topology, never from the request. A request that asks for anything else is refused, and not
changed in silence: its sender would get a certificate for a use that was not expected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from sipmesh.errors import RemoteError
from sipmesh.sip.text import ascii_lower
from sipmesh.trust.x509.certificate import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

LARGEST: Final = 8 << 10
"""Octets of a request, in DER: one with a key on P-384 and forty names has 4,000."""

USAGES: Final = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH})
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
    }
)
"""Extensions whose content in a request is passed over: libest's client copies all of its present certificate."""


class UnfitRequestError(RemoteError):
    """The CA does not certify this request; the text is the reason. *is_key* tells whether only the key is unfit."""

    def __init__(self, message: str, *, is_key: bool = False) -> None:
        super().__init__(message, rule="rule R6", status=403)
        self.why, self.is_key = message, is_key


def requested_key(der: bytes, names: Collection[str]) -> ec.EllipticCurvePublicKey:
    """Return the key of the request *der*, which may ask for *names* only, in lower case; it must ask for one of them.

    Raises `UnfitRequestError`. The signature proves that the sender has the key.
    """
    if len(der) > LARGEST:
        raise UnfitRequestError(f"the request is larger than {LARGEST} octets")
    try:
        request = x509.load_der_x509_csr(der)
        key, faults = request.public_key(), list(_faults(request, frozenset(names)))
        is_signed = isinstance(key, ec.EllipticCurvePublicKey) and request.is_signature_valid
    except (TypeError, *UNREADABLE):
        raise UnfitRequestError("the request cannot be read as a PKCS #10 request (RFC 2986)") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        raise UnfitRequestError("the key of the request is not ECDSA on P-256 or P-384", is_key=True)
    if not is_signed:
        raise UnfitRequestError("the request is not signed with its own key")
    if faults:
        raise UnfitRequestError("; ".join(faults))
    return key


def _faults(request: x509.CertificateSigningRequest, names: frozenset[str]) -> Iterator[str]:
    asked = [*_common_names(request), *_alternative_names(request)]
    if not asked:
        yield f"the request names no server; it may name {_listed(names)}"
    for wrong in sorted({one for one in asked if one not in names}):
        yield f"the request asks for {wrong!a}; it may name {_listed(names)}"
    for extension in request.extensions:
        yield from _faults_of(extension)


def _common_names(request: x509.CertificateSigningRequest) -> Iterator[str]:
    for attribute in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        yield ascii_lower(str(attribute.value))


def _alternative_names(request: x509.CertificateSigningRequest) -> Iterator[str]:
    """Give each name that the request asks for: a SIP URI without its scheme, and another type of name with the type."""
    try:
        found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in found:
        text = ascii_lower(str(name.value))
        is_sip = isinstance(name, x509.UniformResourceIdentifier) and text.startswith("sip:")
        yield text.removeprefix("sip:") if is_sip or isinstance(name, x509.DNSName) else f"{type(name).__name__} {text}"


def _faults_of(extension: x509.Extension[x509.ExtensionType]) -> Iterator[str]:
    value = extension.value
    if extension.oid not in _READ | _WRITTEN_BY_US:
        yield f"the request asks for the extension {extension.oid.dotted_string}, which the CA does not issue"
    if isinstance(value, x509.BasicConstraints) and value.ca:
        yield "the request asks for a CA certificate, and this CA issues none"
    if isinstance(value, x509.KeyUsage) and value != _KEY_USAGE:
        yield "the request asks for a key usage other than digitalSignature"
    if isinstance(value, x509.ExtendedKeyUsage) and not USAGES.issuperset(value):
        others = ", ".join(sorted(oid.dotted_string for oid in set(value) - USAGES))
        yield f"the request asks for the usage {others}; servers have serverAuth and clientAuth"


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
