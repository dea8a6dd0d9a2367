"""What each kind of certificate that we issue looks like: all of it is decided here, nothing by who asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

BACKDATED = timedelta(minutes=5)  # clocks of the servers differ
ROOT_LIFETIME = timedelta(days=3652)
ISSUING_LIFETIME = timedelta(days=1826)
LEAF_LIFETIME = timedelta(days=30)
SIGNER_LIFETIME = timedelta(days=90)  # it signs rarely, and what it signed outlives it
LONGEST_LEAF_LIFETIME = timedelta(days=397)  # what public CAs may issue at most; longer is a forgotten certificate
LONGEST_COMMON_NAME = 64  # RFC 5280 A.1 ub-common-name


class CertificateKind(StrEnum):
    """The four kinds of certificates in an enterprise CA."""

    ROOT = "root"
    ISSUING = "issuing"
    SERVER = "server"
    SIGNER = "signer"  # signs what a management server publishes, and can open no link

    @property
    def is_ca(self) -> bool:
        """Whether certificates of this kind sign others."""
        return self in {CertificateKind.ROOT, CertificateKind.ISSUING}


@dataclass(frozen=True, slots=True)
class CertificateProfile:
    """One certificate to be: everything about it except its serial and its signature.

    *names* are host names in lower case, the server's own first; a signer has the one of its server, CAs have none.
    *crl_url* is where the list of its issuer is published, empty for a root.
    """

    kind: CertificateKind
    subject: x509.Name
    names: tuple[str, ...]
    key: ec.EllipticCurvePublicKey
    not_before: datetime
    not_after: datetime
    crl_url: str = ""


def ca_name(organisation: str, kind: CertificateKind, generation: int = 1) -> x509.Name:
    """The subject of one of the two CAs; each *generation* has its own, so that its lists are told apart by name."""
    number = f" {generation}" if generation > 1 else ""
    return _name(organisation, f"{organisation} {'Root' if kind is CertificateKind.ROOT else 'Issuing'} CA{number}")


def server_name(organisation: str, fqdn: str) -> x509.Name:
    """The subject of a server, and of its signer. People read the common name; no check of ours ever does."""
    return _name(organisation, fqdn if len(fqdn) <= LONGEST_COMMON_NAME else "")


def _name(organisation: str, common_name: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)]
    if common_name:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name[:LONGEST_COMMON_NAME]))
    return x509.Name(attributes)


def validity(at: datetime, lifetime: timedelta) -> tuple[datetime, datetime]:
    """First and last instant of a certificate made at the instant *at*, in whole seconds as X.509 has them."""
    begin = at.replace(microsecond=0)
    return begin - BACKDATED, begin + lifetime


def alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    """Each name as DNS name for phones and as SIP URI for SIP servers.

    RFC 5922 7.1: a peer looks at DNS names only where there is no SIP URI, so that a name that is missing here as a
    URI is missing altogether.
    """
    dns: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    return x509.SubjectAlternativeName([*dns, *(x509.UniformResourceIdentifier(f"sip:{name}") for name in names)])


def signer_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    """Each name as DNS name alone: without a SIP URI, and without a usage for TLS, a signer is no server on any link."""
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


_SERVER_USAGES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
_SIGNER_USAGES = x509.ExtendedKeyUsage([DOCUMENT_SIGNING])


def extensions(wish: CertificateProfile, issuer: ec.EllipticCurvePublicKey) -> list[tuple[x509.ExtensionType, bool]]:
    """Every extension of the certificate, with whether it is critical, in the order in which they are written."""
    is_ca = wish.kind.is_ca
    path_length = {CertificateKind.ROOT: 1, CertificateKind.ISSUING: 0}.get(wish.kind)
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=is_ca, path_length=path_length), True),
        (_key_usage(is_ca=is_ca), True),
        (x509.SubjectKeyIdentifier.from_public_key(wish.key), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), False),
    ]
    if wish.kind is CertificateKind.SERVER:
        found += [(_SERVER_USAGES, False), (alternative_names(wish.names), False)]
    if wish.kind is CertificateKind.SIGNER:
        found += [(_SIGNER_USAGES, False), (signer_names(wish.names), False)]
    if wish.crl_url:
        found.append((_distribution_point(wish.crl_url), False))
    return found


def builder(
    wish: CertificateProfile, issuer: x509.Name, issuer_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """Everything but serial and signature."""
    begun = (
        x509.CertificateBuilder()
        .subject_name(wish.subject)
        .issuer_name(issuer)
        .public_key(wish.key)
        .not_valid_before(wish.not_before)
        .not_valid_after(wish.not_after)
    )
    for extension, critical in extensions(wish, issuer_key):
        begun = begun.add_extension(extension, critical=critical)
    return begun


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _distribution_point(url: str) -> x509.CRLDistributionPoints:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
    return x509.CRLDistributionPoints([point])
