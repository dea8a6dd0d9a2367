"""The content of each kind of certificate that we issue. It is defined here, and not by the requester."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING
from sipmesh.trust.x509.device_identity import DEVICE_POLICY, DeviceIdentity, device_uris
from sipmesh.trust.x509.operator_name import operator_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric import rsa

    from sipmesh.pki.keys.algorithm import OwnPublicKey

    LeafKey = OwnPublicKey | rsa.RSAPublicKey

BACKDATED = timedelta(minutes=5)  # clocks of the servers differ
ROOT_LIFETIME = timedelta(days=3652)
ISSUING_LIFETIME = timedelta(days=1826)
LEAF_LIFETIME = timedelta(days=30)
SIGNER_LIFETIME = timedelta(days=90)  # longer than a server: it signs rarely
OPERATOR_LIFETIME = timedelta(days=90)  # a person renews it by hand
DEVICE_LIFETIME = timedelta(days=180)  # a phone without renewal of its own gets a file by hand
LONGEST_LEAF_LIFETIME = timedelta(days=397)  # the limit of public CAs; certificates that are valid longer are forgotten
LONGEST_COMMON_NAME = 64  # RFC 5280 A.1 ub-common-name


class CertificateKind(StrEnum):
    """The kinds of certificates in an enterprise CA."""

    ROOT = "root"
    ISSUING = "issuing"
    DEVICES = "devices"  # the device issuing CA
    SERVER = "server"
    SIGNER = "signer"  # signs the documents of a management server, and is not accepted on a link
    OPERATOR = "operator"  # logs an operator in to the console, and is not accepted on a link
    DEVICE = "device"  # proves a user on client ports, and is accepted nowhere else

    @property
    def is_ca(self) -> bool:
        """Whether certificates of this kind are CA certificates."""
        return self in CA_KINDS

    @property
    def issuer(self) -> CertificateKind:
        """The CA that issues certificates of this kind."""
        if self.is_ca:
            return CertificateKind.ROOT
        return CertificateKind.DEVICES if self is CertificateKind.DEVICE else CertificateKind.ISSUING


CA_KINDS: Final = (CertificateKind.ROOT, CertificateKind.ISSUING, CertificateKind.DEVICES)


@dataclass(frozen=True, slots=True)
class CertificateProfile:
    """The content of a certificate, without serial number and signature.

    *names* are host names in lower case, the server's own first. A signer has one, that of its server. An operator has one, which
    is no host name. A device has two, the address of its user without ``sip:`` and its own. CAs have none.
    *addresses* are IP addresses beside the names, for phones that are given an address.
    *crl_url* is the URL of its issuer's CRL; empty for a root. *ocsp_url* and *issuer_url* are those of the responder and of the
    certificate of its issuer; empty in a CA, and while no server publishes them. *permitted* are the domains of a CA with name
    constraints.
    Instants are timezone-aware.
    """

    kind: CertificateKind
    subject: x509.Name
    names: tuple[str, ...]
    key: LeafKey
    not_before: datetime
    not_after: datetime
    crl_url: str = ""
    ocsp_url: str = ""
    issuer_url: str = ""
    addresses: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()


_CA_NAMES: Final = {
    CertificateKind.ROOT: "Root",
    CertificateKind.ISSUING: "Issuing",
    CertificateKind.DEVICES: "Device",
}


def ca_name(organisation: str, kind: CertificateKind, generation: int = 1) -> x509.Name:
    """Give the subject of one of the CAs. Each *generation* has another, so that CRLs can be found by issuer name."""
    number = f" {generation}" if generation > 1 else ""
    return _name(organisation, f"{organisation} {_CA_NAMES[kind]} CA{number}")


def server_name(organisation: str, fqdn: str) -> x509.Name:
    """Give the subject of a server or its signer. The common name is for people only: no check of ours reads it."""
    return _name(organisation, fqdn if len(fqdn) <= LONGEST_COMMON_NAME else "")


def device_name(organisation: str, user: str, device: str) -> x509.Name:
    """Give the subject of a device. Its common name is for people only; it is no host name, and no account of a database."""
    common_name = f"{user} {device}"
    return _name(organisation, common_name if len(common_name) <= LONGEST_COMMON_NAME else "")


def _name(organisation: str, common_name: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)]
    if common_name:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name[:LONGEST_COMMON_NAME]))
    return x509.Name(attributes)


def validity(at: datetime, lifetime: timedelta) -> tuple[datetime, datetime]:
    """Give notBefore and notAfter of a certificate made at the instant *at*, in whole seconds as X.509 requires."""
    begin = at.replace(microsecond=0)
    return begin - BACKDATED, begin + lifetime


def issued_at(certificate: x509.Certificate) -> datetime:
    """Return when a certificate of ours was issued, in whole seconds."""
    return certificate.not_valid_before_utc + BACKDATED


def alternative_names(names: Sequence[str], addresses: Sequence[str] = ()) -> x509.SubjectAlternativeName:
    """Give each name as DNS name (for phones) and as SIP URI (for SIP servers), and each of *addresses*.

    RFC 5922 7.1: a peer uses DNS names only if there is no SIP URI. So a name without a SIP URI would be ignored. No SIP server
    takes an address for an identity.
    """
    dns: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    uris = (x509.UniformResourceIdentifier(f"sip:{name}") for name in names)
    return x509.SubjectAlternativeName([*dns, *uris, *(x509.IPAddress(ip_address(address)) for address in addresses)])


def signer_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    """Give each name as DNS name only. Without a SIP URI and a TLS usage, a signer is not accepted as a server."""
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def _operator_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    """Give the name of an operator as URI. Without a SIP URI and a DNS name, it is the identity of no server (RFC 5922 7.1)."""
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(operator_uri(name)) for name in names])


def _device_names(user: str, device: str) -> x509.SubjectAlternativeName:
    """Give the user as SIP URI, which is no SIP domain identity (RFC 5922 7.1), and the device as URI of our own scheme."""
    uris = device_uris(DeviceIdentity(f"sip:{user}", device))
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])


_DEVICE_POLICIES = x509.CertificatePolicies([x509.PolicyInformation(DEVICE_POLICY, None)])
_SERVER_USAGES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
_SIGNER_USAGES = x509.ExtendedKeyUsage([DOCUMENT_SIGNING])
_CLIENT_USAGES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


def extensions(
    wish: CertificateProfile, issuer: OwnPublicKey, identifier: x509.SubjectKeyIdentifier | None = None
) -> list[tuple[x509.ExtensionType, bool]]:
    """Give all extensions of the certificate, each with its criticality, in the order of writing.

    *identifier* is that of the issuer's certificate: another CA may have made it in another way (RFC 7093).
    """
    is_ca = wish.kind.is_ca
    path_length = {CertificateKind.ROOT: 1, CertificateKind.ISSUING: 0, CertificateKind.DEVICES: 0}.get(wish.kind)
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=is_ca, path_length=path_length), True),
        (key_usage(is_ca=is_ca), True),
        (x509.SubjectKeyIdentifier.from_public_key(wish.key), False),
        (_authority_key(issuer, identifier), False),
    ]
    if wish.kind is CertificateKind.SERVER:
        found += [(_SERVER_USAGES, False), (alternative_names(wish.names, wish.addresses), False)]
    if wish.kind is CertificateKind.SIGNER:
        found += [(_SIGNER_USAGES, False), (signer_names(wish.names), False)]
    if wish.kind is CertificateKind.OPERATOR:
        found += [(_CLIENT_USAGES, False), (_operator_names(wish.names), False)]
    if wish.kind is CertificateKind.DEVICES:
        permitted = [x509.DNSName(domain) for domain in wish.permitted]
        found += [(_CLIENT_USAGES, False), (_DEVICE_POLICIES, False), (x509.NameConstraints(permitted, None), True)]
    if wish.kind is CertificateKind.DEVICE:
        found += [(_CLIENT_USAGES, False), (_DEVICE_POLICIES, False), (_device_names(*wish.names), False)]
    if wish.crl_url:
        found.append((_distribution_point(wish.crl_url), False))
    if wish.ocsp_url:
        found.append((_information_access(wish.ocsp_url, wish.issuer_url), False))
    return found


def builder(
    wish: CertificateProfile,
    issuer: x509.Name,
    issuer_key: OwnPublicKey,
    identifier: x509.SubjectKeyIdentifier | None = None,
) -> x509.CertificateBuilder:
    """Give the certificate without serial number and signature."""
    begun = (
        x509.CertificateBuilder()
        .subject_name(wish.subject)
        .issuer_name(issuer)
        .public_key(wish.key)
        .not_valid_before(wish.not_before)
        .not_valid_after(wish.not_after)
    )
    for extension, critical in extensions(wish, issuer_key, identifier):
        begun = begun.add_extension(extension, critical=critical)
    return begun


def _authority_key(issuer: OwnPublicKey, identifier: x509.SubjectKeyIdentifier | None) -> x509.AuthorityKeyIdentifier:
    if identifier is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def key_usage(*, is_ca: bool) -> x509.KeyUsage:
    """Give the key usage of a CA, or of a leaf."""
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


def _information_access(ocsp_url: str, issuer_url: str) -> x509.AuthorityInformationAccess:
    """Give where the status and the certificate of the issuer are (RFC 5280 4.2.2.1)."""
    places = ((AuthorityInformationAccessOID.OCSP, ocsp_url), (AuthorityInformationAccessOID.CA_ISSUERS, issuer_url))
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in places]
    )
