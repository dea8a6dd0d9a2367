"""Rules for each certificate, checked on the certificate itself before and after it is signed.

The rules are written independently of `profiles`, from the RFCs. So an error in one of the two modules is found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID, NameOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.issuance.profiles import LONGEST_LEAF_LIFETIME, CertificateKind
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING, extension, weakness
from sipmesh.trust.x509.device_identity import DEVICE_POLICY
from sipmesh.trust.x509.name_constraints import violations
from sipmesh.trust.x509.sip_identity import is_host_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.issuance.profiles import CertificateProfile

SHORTEST_SERIAL = 64  # bits; CA/Browser Forum 7.1: at least 64 bits from a CSPRNG
LONGEST_SERIAL = 159  # bits; RFC 5280 4.1.2.2: at most 20 octets, positive

_CA_EXTENSIONS = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
}
_LEAF_EXTENSIONS = _CA_EXTENSIONS | {
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}
_EXTENSIONS = {
    CertificateKind.ROOT: _CA_EXTENSIONS,
    CertificateKind.ISSUING: _CA_EXTENSIONS | {ExtensionOID.CRL_DISTRIBUTION_POINTS},
    CertificateKind.SERVER: _LEAF_EXTENSIONS,
    CertificateKind.SIGNER: _LEAF_EXTENSIONS,
    CertificateKind.OPERATOR: _LEAF_EXTENSIONS,
    CertificateKind.DEVICES: _CA_EXTENSIONS
    | {
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
    },
    CertificateKind.DEVICE: _LEAF_EXTENSIONS | {ExtensionOID.CERTIFICATE_POLICIES},
}
_PATH_LENGTH = {
    CertificateKind.ROOT: 1,
    CertificateKind.ISSUING: 0,
    CertificateKind.SERVER: None,
    CertificateKind.SIGNER: None,
    CertificateKind.OPERATOR: None,
    CertificateKind.DEVICES: 0,
    CertificateKind.DEVICE: None,
}
_LEAVES = (CertificateKind.SERVER, CertificateKind.SIGNER, CertificateKind.OPERATOR, CertificateKind.DEVICE)
_CLIENTS = (CertificateKind.OPERATOR, CertificateKind.DEVICES, CertificateKind.DEVICE)
_DEVICE_URI = re.compile(r"sip:[^@:;?\s]+@([a-z0-9.-]+)", re.ASCII)
_OPERATOR = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)
# The engine requires a usage for TLS, which a signer must not have. A rule below checks the usage of a signer.
_SIGNER_POLICY = ExtensionPolicy.webpki_defaults_ee().require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, None)


class LintRefusedError(OperatorError):
    """The CA refuses to sign this certificate, or does not hand it out although it is signed."""


def refuse(faults: Sequence[str], file: Path, what: str = "certificate") -> None:
    """Raise LintRefusedError if there are faults of a certificate, or of *what* else. *file* is named in the error."""
    if faults:
        remedy = f"no {what} was issued; request a {what} that the profile allows, or report a bug"
        problems = tuple(Problem(file, 0, "", fault, remedy) for fault in faults)
        raise LintRefusedError(f"the CA does not issue this {what}", problems)


def lint(found: x509.Certificate, wish: CertificateProfile, issuer: x509.Certificate | None) -> list[str]:
    """Give all faults of a certificate compared with *wish*. *issuer* is None for a root, which issues itself."""
    above = issuer or found
    return [fault for rule in RULES for fault in rule(found, wish, above)]


def check_signed(
    signed: x509.Certificate, draft: x509.Certificate, above: tuple[x509.Certificate, ...], *, at: datetime
) -> list[str]:
    """Give all faults of the signed certificate: it differs from the checked draft, or its chain is invalid.

    *above* are its issuers, the nearest first and the root last; empty for a root.
    """
    faults = (
        []
        if signed.tbs_certificate_bytes == draft.tbs_certificate_bytes
        else ["the signed certificate differs from the draft"]
    )
    chain = (signed, *above)
    for certificate, issuer in zip(chain, (*above, chain[-1]), strict=True):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError) as wrong:
            names = f"{certificate.subject.rfc4514_string()} by {issuer.subject.rfc4514_string()}"
            faults.append(f"the signature on {names} is not valid ({type(wrong).__name__})")
    if extension(signed, x509.SubjectAlternativeName):
        faults += _verified_by_engine(chain, at)
    return faults


def _verified_by_engine(chain: tuple[x509.Certificate, ...], at: datetime) -> list[str]:
    """Verify the chain with the engine that peers will use too."""
    builder = PolicyBuilder().store(Store([chain[-1]])).time(at)
    if DOCUMENT_SIGNING in (extension(chain[0], x509.ExtendedKeyUsage) or ()):
        builder = builder.extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=_SIGNER_POLICY)
    try:
        builder.build_client_verifier().verify(chain[0], list(chain[1:-1]))
    except VerificationError as wrong:
        return [f"the path is refused: {wrong}"]
    return []


def serial_is_long_and_positive(
    found: x509.Certificate, _wish: CertificateProfile, _above: x509.Certificate
) -> Iterator[str]:
    """Check RFC 5280 4.1.2.2."""
    if not SHORTEST_SERIAL <= found.serial_number.bit_length() <= LONGEST_SERIAL:
        yield f"serial {found.serial_number:x} is not between {SHORTEST_SERIAL} and {LONGEST_SERIAL} bits"


def validity_lies_within_the_issuers(
    found: x509.Certificate, wish: CertificateProfile, above: x509.Certificate
) -> Iterator[str]:
    """A certificate that is valid longer than its issuer fails when the issuer expires, which is not expected."""
    begin, end = found.not_valid_before_utc, found.not_valid_after_utc
    if not begin < end:
        yield f"it ends ({end:%Y-%m-%d}) before it begins ({begin:%Y-%m-%d})"
    if begin < above.not_valid_before_utc or end > above.not_valid_after_utc:
        yield f"its validity (until {end:%Y-%m-%d}) exceeds its issuer's (until {above.not_valid_after_utc:%Y-%m-%d})"
    if wish.kind in _LEAVES and end - begin > LONGEST_LEAF_LIFETIME:
        yield f"it lives {(end - begin).days} days, longer than {LONGEST_LEAF_LIFETIME.days}"


def key_is_strong_and_the_one_asked_for(
    found: x509.Certificate, wish: CertificateProfile, _above: x509.Certificate
) -> Iterator[str]:
    """Check rule R4, and that the key is the requested key."""
    if why := weakness(found):
        yield f"it has {why}"
    if found.public_key() != wish.key:
        yield "it carries another key"


def names_chain_up(found: x509.Certificate, wish: CertificateProfile, above: x509.Certificate) -> Iterator[str]:
    """Check RFC 5280 4.1.2.4 and 4.2.1.1. Strict engines compare the key identifiers too."""
    mine, theirs = extension(found, x509.AuthorityKeyIdentifier), extension(above, x509.SubjectKeyIdentifier)
    if found.issuer != above.subject or found.subject != wish.subject:
        yield "its subject or issuer is another"
    if not mine or not theirs or mine.key_identifier != theirs.digest:
        yield "its authority key identifier is not its issuer's subject key identifier"


def extensions_are_those_of_the_profile(
    found: x509.Certificate, wish: CertificateProfile, _above: x509.Certificate
) -> Iterator[str]:
    """Check that no extension is missing, and that there are no others."""
    served = {ExtensionOID.AUTHORITY_INFORMATION_ACCESS} if wish.ocsp_url or wish.issuer_url else set()
    present, wanted = {entry.oid for entry in found.extensions}, _EXTENSIONS[wish.kind] | served
    for oid in sorted(present ^ wanted, key=lambda oid: oid.dotted_string):
        yield f"extension {oid.dotted_string} is {'missing' if oid in wanted else 'not of the profile'}"


def it_is_a_ca_or_it_is_not(
    found: x509.Certificate, wish: CertificateProfile, _above: x509.Certificate
) -> Iterator[str]:
    """Check RFC 5280 4.2.1.9 and 4.2.1.3: a CA is marked as a CA, and a leaf is not."""
    is_ca = wish.kind not in _LEAVES
    constraints, usage = extension(found, x509.BasicConstraints), extension(found, x509.KeyUsage)
    if not constraints or constraints.ca is not is_ca or constraints.path_length != _PATH_LENGTH[wish.kind]:
        yield f"its basic constraints are not those of a {wish.kind} certificate"
    if not usage or (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) != (is_ca, is_ca, not is_ca):
        yield f"its key usage is not that of a {wish.kind} certificate"


def usages_are_those_of_its_kind(
    found: x509.Certificate, wish: CertificateProfile, _above: x509.Certificate
) -> Iterator[str]:
    """Each server opens and accepts links, so it has both TLS usages (rule R2). A signer only signs (RFC 9336 3).

    An operator or a device only logs in, so a server's client does not take the certificate for that of a server.
    """
    usages = extension(found, x509.ExtendedKeyUsage)
    both = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    if wish.kind is CertificateKind.SERVER and (usages is None or set(usages) != both):
        yield "its usages are not serverAuth and clientAuth"
    if wish.kind is CertificateKind.SIGNER and (usages is None or list(usages) != [DOCUMENT_SIGNING]):
        yield "its usage is not documentSigning alone"
    if wish.kind in _CLIENTS and (usages is None or list(usages) != [ExtendedKeyUsageOID.CLIENT_AUTH]):
        yield "its usage is not clientAuth alone"


def names_are_those_asked_for(
    found: x509.Certificate, wish: CertificateProfile, _above: x509.Certificate
) -> Iterator[str]:
    """A server has each name as DNS name and as SIP URI, and no others (RFC 5922 7.1), and the addresses that were asked for.

    A signer has one DNS name only, an operator one URI only, a device two URIs.
    """
    if wish.kind in _NAMES_OF:
        yield from _NAMES_OF[wish.kind](found, wish)
        return
    names = extension(found, x509.SubjectAlternativeName) or x509.SubjectAlternativeName([])
    dns = names.get_values_for_type(x509.DNSName)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    sip = [] if wish.kind is CertificateKind.SIGNER else [f"sip:{name}" for name in wish.names]
    addresses = list(map(str, names.get_values_for_type(x509.IPAddress)))
    extra = () if wish.kind is CertificateKind.SIGNER else wish.addresses
    if (dns, uris, addresses) != (list(wish.names), sip, list(extra)) or len(names) != len(dns) + len(sip) + len(extra):
        how = "as DNS name alone" if wish.kind is CertificateKind.SIGNER else "each as DNS name and as SIP URI"
        yield f"its names are not those asked for, {how}"
    for name in wish.names:
        if not is_host_name(name) or "." not in name:
            yield f"{name!r} is not a full host name"
    if wish.kind in _LEAVES and not wish.names:
        yield "it names no server"
    if wish.kind is CertificateKind.SIGNER and len(wish.names) > 1:
        yield "it signs for more than one server"
    common = [str(entry.value) for entry in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if wish.kind in _LEAVES and not set(common) <= set(wish.names[:1]):
        yield "its common name is not its first name"


def _names_of_operator(found: x509.Certificate, wish: CertificateProfile) -> Iterator[str]:
    names = list(extension(found, x509.SubjectAlternativeName) or ())
    if names != [x509.UniformResourceIdentifier(f"sipmesh-operator:{name}") for name in wish.names] or wish.addresses:
        yield "its name is not the one asked for, as URI alone"
    if len(wish.names) != 1 or not _OPERATOR.fullmatch(wish.names[0]):
        yield "it does not name one operator"
    common = [str(entry.value) for entry in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not set(common) <= set(wish.names):
        yield "its common name is not its name"


def _names_of_device(found: x509.Certificate, wish: CertificateProfile) -> Iterator[str]:
    names = [name.value for name in extension(found, x509.SubjectAlternativeName) or ()]
    user, device = (*wish.names, "", "")[:2]
    if len(wish.names) != len(names) or names != [f"sip:{user}", f"sipmesh-device:{device}"] or wish.addresses:
        yield "its names are not the user and the device asked for, as URIs alone"
    host = _DEVICE_URI.fullmatch(f"sip:{user}")
    if not host or not is_host_name(host[1]) or not _OPERATOR.fullmatch(device):
        yield "it does not name one device of one user"
    common = [str(entry.value) for entry in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not set(common) <= {f"{user} {device}"}:
        yield "its common name is not that of its user and device"


_NAMES_OF: Mapping[CertificateKind, Callable[[x509.Certificate, CertificateProfile], Iterator[str]]] = {
    CertificateKind.OPERATOR: _names_of_operator,
    CertificateKind.DEVICE: _names_of_device,
}


def devices_are_kept_apart(found: x509.Certificate, wish: CertificateProfile, above: x509.Certificate) -> Iterator[str]:
    """Check that what the device issuing CA has and issues carries its policy, and that its names stay in its domains."""
    policies = extension(found, x509.CertificatePolicies)
    constraints = extension(found, x509.NameConstraints)
    is_marked = policies is not None and [one.policy_identifier for one in policies] == [DEVICE_POLICY]
    if wish.kind in {CertificateKind.DEVICES, CertificateKind.DEVICE} and not is_marked:
        yield "its policy is not that of devices alone"
    if wish.kind is CertificateKind.DEVICES:
        permitted = [x509.DNSName(domain) for domain in wish.permitted]
        if not permitted or constraints != x509.NameConstraints(permitted, None):
            yield "its name constraints are not the SIP domains"
    if wish.kind is CertificateKind.DEVICE:
        yield from violations((found, above))


def its_list_can_be_found(found: x509.Certificate, wish: CertificateProfile, _above: x509.Certificate) -> Iterator[str]:
    """Check RFC 5280 4.2.1.13. Partners fetch our CRLs over HTTP."""
    points = extension(found, x509.CRLDistributionPoints) or ()
    urls = [str(name.value) for point in points for name in point.full_name or ()]
    if wish.kind is not CertificateKind.ROOT and (urls != [wish.crl_url] or not wish.crl_url.startswith("http://")):
        yield "its CRL distribution point is missing or wrong"


def its_status_can_be_asked(
    found: x509.Certificate, wish: CertificateProfile, _above: x509.Certificate
) -> Iterator[str]:
    """Check RFC 5280 4.2.2.1: the responder and the issuer's certificate are beside the CRL, and a CA names neither."""
    access = extension(found, x509.AuthorityInformationAccess)
    if access is None:
        return
    named = [(one.access_method, one.access_location.value) for one in access]
    beside = wish.crl_url.rpartition("/")[0]
    certificate = wish.crl_url.removesuffix(".crl") + ".crt"
    places = [
        (AuthorityInformationAccessOID.OCSP, f"{beside}/ocsp"),
        (AuthorityInformationAccessOID.CA_ISSUERS, certificate),
    ]
    if wish.kind not in _LEAVES or named != places or [wish.ocsp_url, wish.issuer_url] != [url for _, url in places]:
        yield "its authority information access is not that of the CA"


RULES: tuple[Callable[[x509.Certificate, CertificateProfile, x509.Certificate], Iterator[str]], ...] = (
    serial_is_long_and_positive,
    validity_lies_within_the_issuers,
    key_is_strong_and_the_one_asked_for,
    names_chain_up,
    extensions_are_those_of_the_profile,
    it_is_a_ca_or_it_is_not,
    usages_are_those_of_its_kind,
    names_are_those_asked_for,
    devices_are_kept_apart,
    its_list_can_be_found,
    its_status_can_be_asked,
)
