"""Compares a record of the ledger with its certificate: others may be able to change the columns beside it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING, UNREADABLE, extension, is_authority
from sipmesh.trust.x509.device_identity import device_identity, is_for_devices
from sipmesh.trust.x509.operator_name import operator_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.pki.ledger.records import Record

_KINDS: Final = frozenset((str(kind), str(kind.issuer)) for kind in CertificateKind)
KEPT: Final = 4096  # certificates whose facts are in the cache


def why_record_differs(record: Record) -> str:
    """Return which columns differ from the certificate of *record*, in words; "" if none does.

    A certificate that cannot be read differs too. The signature is not checked. Without a certificate, kind and issuer must fit.
    """
    if record.der is None:
        return "" if (record.kind, record.issuer) in _KINDS else "has an issuer that does not issue its kind"
    try:
        facts = _facts(record.der)
    except UNREADABLE as wrong:
        return f"has a certificate that cannot be read ({wrong})"
    differ = [column for column, value in facts.items() if getattr(record, column) != value]
    return f"differs from its certificate in {', '.join(differ)}" if differ else ""


@lru_cache(maxsize=KEPT)
def _facts(der: bytes) -> Mapping[str, object]:
    certificate = x509.load_der_x509_certificate(der)
    kind = _kind(certificate)
    facts: dict[str, object] = {
        "serial": certificate.serial_number,
        "issuer": str(kind.issuer),
        "kind": str(kind),
        "not_before": certificate.not_valid_before_utc,
        "not_after": certificate.not_valid_after_utc,
    }
    return facts if kind.is_ca else {**facts, "names": _names(certificate, kind)}


def _kind(certificate: x509.Certificate) -> CertificateKind:
    if is_authority(certificate):
        if certificate.subject == certificate.issuer:
            return CertificateKind.ROOT
        return CertificateKind.DEVICES if is_for_devices(certificate) else CertificateKind.ISSUING
    if is_for_devices(certificate):
        return CertificateKind.DEVICE
    usages = extension(certificate, x509.ExtendedKeyUsage) or ()
    if DOCUMENT_SIGNING in usages:
        return CertificateKind.SIGNER
    return CertificateKind.SERVER if ExtendedKeyUsageOID.SERVER_AUTH in usages else CertificateKind.OPERATOR


def _names(certificate: x509.Certificate, kind: CertificateKind) -> tuple[str, ...]:
    if kind is CertificateKind.OPERATOR:
        return (operator_name(certificate),)
    if kind is CertificateKind.DEVICE:
        found = device_identity(certificate)
        return (found.user.removeprefix("sip:"), found.device) if found is not None else ()
    names = extension(certificate, x509.SubjectAlternativeName)
    return tuple(names.get_values_for_type(x509.DNSName)) if names is not None else ()
