"""Reads what a CRL says of itself (RFC 5280 section 5), and refuses what sipmesh does not support."""

from __future__ import annotations

from base64 import b64decode, b64encode

from cryptography import x509

from sipmesh.errors import SipmeshError
from sipmesh.trust.revocation.crl_scope import WHOLE, Scope, point_names
from sipmesh.trust.x509.der import Element, spans

VERSION_2 = Element(0x02, b"\x01")  # an INTEGER; cryptography also accepts extensions in a CRL without version


class UnusableListError(SipmeshError):
    """A CRL that must not be used. The text says why."""


def der_of(data: bytes) -> bytes:
    """Give the DER of a CRL, or of the first one in PEM (RFC 7468 6); ValueError if there is none."""
    if b"-----BEGIN" not in data:
        return data
    begin, end = data.find(_PEM_BEGIN), data.find(_PEM_END)
    if begin < 0 or end < begin:
        raise ValueError("no X509 CRL in PEM")
    return b64decode(b"".join(data[begin + len(_PEM_BEGIN) : end].split()), validate=True)


def without_surroundings(data: bytes) -> bytes:
    """Give what `der_of` reads of *data*, in the form that it has there, and nothing around it; ValueError if there is none."""
    der = der_of(data)
    if der is data:
        return data
    text = b64encode(der)
    lines = (text[begin : begin + _PEM_LINE] for begin in range(0, len(text), _PEM_LINE))
    return b"\n".join((_PEM_BEGIN, *lines, _PEM_END, b""))


_PEM_LINE = 64  # characters, RFC 7468 section 2
_PEM_BEGIN, _PEM_END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"


def is_of_version_2(der: bytes) -> bool:
    """Tell whether the content of a CRL begins with version 2."""
    (outer,) = spans(der, 0, len(der))
    tbs = spans(der, outer.begin, outer.end)[0]
    version = spans(der, tbs.begin, tbs.end)[0]
    return Element(version.tag, der[version.begin : version.end]) == VERSION_2


def read_extensions(crl: x509.CertificateRevocationList) -> tuple[int, int | None, Scope]:
    """Return number, base and scope.

    Two critical extensions are supported (RFC 5280 5.2.4, 5.2.5). A CRL with another critical extension is refused: either it
    is unknown (RFC 5280 5.2), or it must not be critical (5.2.1 to 5.2.3).
    """
    number, base, scope = None, None, WHOLE
    for found in crl.extensions:
        if isinstance(found.value, x509.IssuingDistributionPoint):
            scope = _read_scope(found.value, crl.issuer)
        elif isinstance(found.value, x509.DeltaCRLIndicator):
            base = found.value.crl_number
        elif found.critical:
            raise UnusableListError(
                f"the CRL has the critical extension {found.oid.dotted_string}, which sipmesh does not support"
            )
        elif isinstance(found.value, x509.CRLNumber):
            number = found.value.crl_number
    if number is None:
        raise UnusableListError("the CRL has no number (RFC 5280 5.2.3)")
    return number, base, scope


def _read_scope(point: x509.IssuingDistributionPoint, issuer: x509.Name) -> Scope:
    if point.indirect_crl:
        raise UnusableListError("the CRL is indirect: it has certificates of other issuers")
    if point.only_some_reasons or point.only_contains_attribute_certs:
        raise UnusableListError("the CRL is partial: some reasons, or attribute certificates only")
    return Scope(
        points=frozenset(point_names(point, issuer)),
        leaves=not point.only_contains_ca_certs,
        authorities=not point.only_contains_user_certs,
    )


def read_entry(entry: x509.RevokedCertificate) -> tuple[int, bool]:
    """Return the serial number, and whether it is revoked. Only a delta can say that it is no longer revoked.

    RFC 5280 5.3.1: removeFromCRL "may only appear in delta CRLs". In other CRLs it is ignored. A CRL with a critical entry
    extension is refused: it is unknown (5.3), must not be critical (5.3.1, 5.3.2), or makes the CRL indirect (5.3.3).
    """
    revoked = True
    for found in entry.extensions:
        if found.critical:
            raise UnusableListError(
                f"an entry has the critical extension {found.oid.dotted_string}, which sipmesh does not support"
            )
        if isinstance(found.value, x509.CRLReason):
            revoked = found.value.reason is not x509.ReasonFlags.remove_from_crl
    return entry.serial_number, revoked
