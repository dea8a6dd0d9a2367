"""Build and check the path from a leaf to an anchor, with two independent engines.

One engine is ``cryptography.x509.verification``. The other is our own path check: it builds every path by name and signature,
and applies the rules of RFC 5280 section 6.1. It says what is wrong when the first engine only refuses. It decides alone on
paths that the first engine cannot read: constraints on URIs or directory names, and critical extensions about policies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, VerificationError

from sipmesh.trust.x509.certificate import (
    KEPT,
    UNREADABLE,
    extension,
    is_authority,
    issued_by,
    may_sign_certificates,
    weakness,
)
from sipmesh.trust.x509.certificate_policies import unmet
from sipmesh.trust.x509.name_constraints import has_unread_constraint, violations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sipmesh.trust.authority import Authority

DEEPEST = 6  # CAs between leaf and anchor; real chains have one or two
SIGNATURES = 24  # signature checks of one path search: the peer chooses the certificates, but must not use up our time
PRESENTED = 40  # issuers that are read, at about 30 us each; both engines limit the signatures that they check

SIP_DOMAIN = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.20")  # id-kp-sipDomain (RFC 5924 3.1)
TLS_USAGES = frozenset(
    {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        SIP_DOMAIN,
    }
)

Path = tuple[x509.Certificate, ...]  # leaf first, anchor last


def _usage_of_authority(_policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    """Make the engine skip issuers whose usage does not allow TLS, so that it searches another path."""
    if usage is not None and TLS_USAGES.isdisjoint(usage):
        raise ValueError("an issuer whose extended key usage does not allow TLS")


# Our own checks judge usage (they know the partner's client_usage) and names (by RFC 5922). The engine would require
# clientAuth, and a subjectAltName with rules of its own.
_AUTHORITY_POLICY = ExtensionPolicy.webpki_defaults_ca().may_be_present(
    x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _usage_of_authority
)
_LEAF_POLICY = (
    ExtensionPolicy.webpki_defaults_ee()
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, None)
    .may_be_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
)
_BUILDER = PolicyBuilder().extension_policies(ca_policy=_AUTHORITY_POLICY, ee_policy=_LEAF_POLICY)

# RFC 5280 4.2: "A certificate-using system MUST reject the certificate if it encounters a critical extension it does
# not recognize or a critical extension that contains information that it cannot process."
_POLICIES = frozenset(
    {x509.CertificatePolicies.oid, x509.PolicyConstraints.oid, x509.InhibitAnyPolicy.oid, ExtensionOID.POLICY_MAPPINGS}
)
_PROCESSED = _POLICIES | {
    x509.BasicConstraints.oid,
    x509.KeyUsage.oid,
    x509.ExtendedKeyUsage.oid,
    x509.SubjectAlternativeName.oid,
    x509.NameConstraints.oid,
}

# With the section of RFC 5280 that requires it.
_MUST_BE_CRITICAL = {x509.NameConstraints.oid: "4.2.1.10", x509.InhibitAnyPolicy.oid: "4.2.1.14"}


@dataclass(frozen=True, slots=True)
class Trail:
    """A path below one authority; empty if none was found. *refusal* is the error of the engine, or ""."""

    path: Path = ()
    authority: Authority | None = None
    refusal: str = ""

    @property
    def verified(self) -> bool:
        """Whether the engine accepts the path, or cannot read it."""
        return bool(self.path) and (not self.refusal or self.engine_is_blind)

    @property
    def engine_is_blind(self) -> bool:
        """Whether an issuer has an extension that the engine cannot read, and for which it always refuses.

        Extensions of the leaf are ignored here: a peer must not avoid the engine with an extension in its own certificate.
        """
        issuers = self.path[1:]
        return bool(self.refusal) and (has_unread_constraint(issuers) or _has_critical_policies(issuers))

    def __repr__(self) -> str:
        names = " < ".join(certificate.subject.rfc4514_string() or "(no subject)" for certificate in self.path)
        return f"<Trail {names or 'nowhere'}{' refused: ' + self.refusal if self.refusal else ''}>"


def find_path(leaf: x509.Certificate, pool: Sequence[x509.Certificate], authority: Authority, at: datetime) -> Trail:
    """Find the best path at the instant *at* from *leaf* over *pool* to an anchor of *authority*.

    It is the engine's path if there is one. Otherwise it is our own path with the fewest faults, so that a finding can name
    them, together with the engine's refusal.
    """
    if authority.store is None:
        return Trail(authority=authority, refusal="the authority has no anchors")
    builder = _BUILDER.store(authority.store).time(at)
    try:
        verified = builder.build_client_verifier().verify(leaf, list(pool))
    except (VerificationError, *UNREADABLE) as wrong:
        paths = walk(leaf, pool, authority.anchors)
        best = min(paths, key=lambda path: _faults(path, at), default=())
        return Trail(best, authority, str(wrong) or type(wrong).__name__)
    return Trail(tuple(verified.chain), authority)


def walk(
    leaf: x509.Certificate, pool: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> Iterator[Path]:
    """Build every path from *leaf* to one of *anchors* by name and signature only, within the limits above."""
    between = [certificate for certificate in pool[:PRESENTED] if certificate not in anchors and certificate != leaf]
    yield from _Walk(tuple(anchors), between).onward((leaf,))


@dataclass(slots=True)
class _Walk:
    anchors: Path
    between: list[x509.Certificate]
    left: int = SIGNATURES
    known: dict[tuple[int, int], bool] = field(default_factory=dict)

    def onward(self, path: Path) -> Iterator[Path]:
        for anchor in self.anchors:
            if self.issued(path[-1], anchor):
                yield (*path, anchor)
        if len(path) > DEEPEST:
            return
        for issuer in self.between:
            if issuer not in path and self.issued(path[-1], issuer):
                yield from self.onward((*path, issuer))

    def issued(self, child: x509.Certificate, issuer: x509.Certificate) -> bool:
        """Tell whether *issuer* signed *child*. Names are compared first, because signature checks are slow and limited."""
        pair = (id(child), id(issuer))
        if pair not in self.known:
            if child.issuer != issuer.subject or self.left == 0:
                return False
            self.left -= 1
            self.known[pair] = issued_by(child, issuer)
        return self.known[pair]


def _faults(path: Path, at: datetime) -> int:
    wrong = [*expired(path, at), *early(path, at), *weak(path), *not_issuing(path), *ill_formed(path)]
    return len(wrong) + len(violations(path)) + len(unmet(path))


def _has_critical_policies(path: Path) -> bool:
    return any(entry.critical and entry.oid in _POLICIES for certificate in path for entry in certificate.extensions)


def expired(path: Path, at: datetime) -> list[x509.Certificate]:
    """Give the certificates of *path* that are expired at the instant *at*. The second in notAfter is still valid."""
    return [certificate for certificate in path if at.replace(microsecond=0) > certificate.not_valid_after_utc]


def early(path: Path, at: datetime) -> list[x509.Certificate]:
    """Give the certificates of *path* that are not yet valid at the instant *at*."""
    return [certificate for certificate in path if at < certificate.not_valid_before_utc]


def weak(path: Path) -> list[str]:
    """List the weak keys and signatures of *path*. The signature of an anchor proves nothing, and is not checked."""
    found = (
        (certificate, weakness(certificate, signature=depth == 0 or depth < len(path) - 1))
        for depth, certificate in enumerate(path)
    )
    return [f"{certificate.subject.rfc4514_string()} has {why}" for certificate, why in found if why]


def not_issuing(path: Path) -> list[str]:
    """List the issuers of *path* that may not issue what they issued (RFC 5280 6.1.4 (k) to (n))."""
    faults: list[str] = []
    below = 0  # CAs below this CA that are not self-issued (RFC 5280 6.1.4 (l))
    for certificate in path[1:]:
        name = certificate.subject.rfc4514_string()
        constraints = extension(certificate, x509.BasicConstraints)
        longest = constraints.path_length if constraints else None
        if not is_authority(certificate):
            faults.append(f"{name} is not a certification authority")
        if not may_sign_certificates(certificate):
            faults.append(f"{name} may not sign certificates")
        if longest is not None and below > longest:
            faults.append(f"{name} allows {longest} authorities below it, not {below}")
        below += certificate.subject != certificate.issuer
    return faults


def ill_formed(path: Path) -> list[str]:
    """List the extensions of *path* that are unknown and critical, wrongly not critical, misplaced or missing."""
    return [f"{_spell(certificate)} {wrong}" for certificate in path for wrong in _extension_faults(certificate)] + [
        f"{_spell(certificate)} has no authority key identifier (RFC 5280 4.2.1.1)"
        for certificate in path[:-1]
        if not _names_key_of_issuer(certificate)
    ]


def _spell(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "(no subject)"


def _names_key_of_issuer(certificate: x509.Certificate) -> bool:
    """RFC 5280 4.2.1.1: the keyIdentifier MUST be present. Issuer and serial do not replace it."""
    identifier = extension(certificate, x509.AuthorityKeyIdentifier)
    return identifier is not None and identifier.key_identifier is not None


@lru_cache(maxsize=KEPT)
def _extension_faults(certificate: x509.Certificate) -> tuple[str, ...]:
    return tuple(_tell_extension_faults(certificate))


def _tell_extension_faults(certificate: x509.Certificate) -> Iterator[str]:
    for entry in certificate.extensions:
        if entry.critical and entry.oid not in _PROCESSED:
            yield f"has the critical extension {entry.oid.dotted_string}, which sipmesh does not support (RFC 5280 4.2)"
        if not entry.critical and (section := _MUST_BE_CRITICAL.get(entry.oid)):
            yield f"has {type(entry.value).__name__} not marked critical (RFC 5280 {section})"
    # RFC 5280 4.2.1.11 requires it critical, but RFC 3280 did not. So a CA that has certificate policies may leave it so.
    if _is_loose(certificate):
        yield "has policy constraints that are not marked critical, and no policies (RFC 5280 4.2.1.11)"
    yield from _faults_of_authority(certificate) if is_authority(certificate) else _faults_of_leaf(certificate)


def _faults_of_authority(certificate: x509.Certificate) -> Iterator[str]:
    if extension(certificate, x509.SubjectKeyIdentifier) is None:
        yield "has no subject key identifier (RFC 5280 4.2.1.2)"
    if not list(certificate.subject):  # no constraint on directory names would apply to it
        yield "is a CA without a subject name (RFC 5280 4.1.2.6)"


def _faults_of_leaf(certificate: x509.Certificate) -> Iterator[str]:
    if extension(certificate, x509.NameConstraints) is not None:
        yield "has name constraints, but is not a CA (RFC 5280 4.2.1.10)"
    if not list(certificate.subject) and not _has_critical_names(certificate):
        yield "has no subject, and no subjectAltName that is marked critical (RFC 5280 4.2.1.6)"


def _has_critical_names(certificate: x509.Certificate) -> bool:
    return any(entry.critical for entry in certificate.extensions if entry.oid == x509.SubjectAlternativeName.oid)


def _is_loose(certificate: x509.Certificate) -> bool:
    """Tell whether *certificate* has policy constraints that are not critical, and has no certificate policies."""
    loose = any(
        not entry.critical for entry in certificate.extensions if isinstance(entry.value, x509.PolicyConstraints)
    )
    return loose and extension(certificate, x509.CertificatePolicies) is None
