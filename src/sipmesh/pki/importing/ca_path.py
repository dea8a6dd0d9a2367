"""The path of a CA of another organisation to its root, and everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from warnings import catch_warnings

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.errors import OperatorError, Problem
from sipmesh.foreign_errors import reason_of
from sipmesh.pki.importing.encrypted_file import REFUSAL, refused
from sipmesh.pki.issuance import profiles
from sipmesh.pki.issuance.profiles import CertificateKind, CertificateProfile
from sipmesh.pki.issuance.signer import draft
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.trust.path.chain import DEEPEST, early, expired, ill_formed, not_issuing, weak
from sipmesh.trust.x509.certificate import UNREADABLE, WEAK_HASHES, extension, fingerprint, is_authority, issued_by
from sipmesh.trust.x509.name_constraints import violations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sipmesh.pki.importing.bundle import Bundle

SYSTEM_ROOTS: Final = Path("/etc/ssl/certs/ca-certificates.crt")
"""The public CAs that this machine trusts."""

ADOPTED: Final = "anchors/ca-"
"""How the names of the roots begin that `ca adopt` has added to our own authority."""

_USAGES: Final = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, slots=True)
class CaPath:
    """A CA, the CAs *between* it and its root, nearest first, and the *root*, which is the CA itself if it has no issuer."""

    file: Path
    ca: x509.Certificate
    between: tuple[x509.Certificate, ...]
    root: x509.Certificate

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """All of them, the CA first and each once."""
        return tuple(dict.fromkeys((self.ca, *self.between, self.root)))

    def must_be_usable(self, names: Sequence[str], at: datetime) -> None:
        """Raise `OperatorError` with everything that is wrong with it, for a CA that issues to servers with these *names*."""
        try:
            faults = list(dict.fromkeys(_faults(self, names, at)))
        except UNREADABLE as wrong:
            faults = [(f"has a certificate that cannot be used ({reason_of(wrong)})", "export it again from the CA")]
        if faults:
            raise OperatorError(REFUSAL, tuple(Problem(self.file, 0, "", *fault) for fault in faults))

    def warning(self, public: Path = SYSTEM_ROOTS) -> str:
        """Return what an operator should know before this root is trusted; *public* has the CAs that issue to the public."""
        name = _name(self.root)
        if fingerprint(self.root) in _fingerprints(public):
            return f"{name} is a public CA: it issues to all who ask. Its certificate for a name of your topology is then enough."
        if not any(extension(one, x509.NameConstraints) for one in self.certificates):
            return f"{name} may issue for any name, so for each of your servers. Name constraints (RFC 5280 4.2.1.10) limit that."
        return ""


def _fingerprints(file: Path) -> set[str]:
    try:
        with catch_warnings(action="ignore"):  # of public CAs whose serial number is zero
            return {fingerprint(one) for one in x509.load_pem_x509_certificates(file.read_bytes())}
    except (OSError, *UNREADABLE):
        return set()


def path_of(bundle: Bundle, ca: x509.Certificate) -> CaPath:
    """Find the issuers of *ca* in a bundle, in any order; raises `OperatorError` if one is missing."""
    path = [ca]
    while not _is_issued_by(path[-1], path[-1]):
        issuer = next((one for one in bundle.certificates if one not in path and _is_issued_by(path[-1], one)), None)
        if issuer is None:
            needed = path[-1].issuer.rfc4514_string()
            raise refused(bundle.file, *_missing(bundle, path[-1], needed))
        path.append(issuer)
        if len(path) > DEEPEST:
            raise refused(
                bundle.file, f"has more than {DEEPEST} CAs above each other", "use a CA that is nearer to its root"
            )
    return CaPath(bundle.file, ca, tuple(path[1:-1]), path[-1])


def _is_issued_by(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether *issuer* has issued a certificate. A signature over SHA-1 is not verified, but named later (`weak`)."""
    if one.issuer != issuer.subject:
        return False
    return issued_by(one, issuer) or isinstance(one.signature_hash_algorithm, WEAK_HASHES)


def _missing(bundle: Bundle, below: x509.Certificate, needed: str) -> tuple[str, str]:
    if any(one.subject == below.issuer for one in bundle.certificates):
        reason = f"has a certificate of {needed} that has not signed {_name(below)}: the two are of different keys"
        return reason, "add the certificate of the key that has signed it"
    return (
        f"is incomplete: the certificate of {needed} is missing, which has issued {_name(below)}",
        "add it to the file",
    )


def roots_of(bundle: Bundle) -> list[CaPath]:
    """Return the root of each certificate of a bundle, each once; raises `OperatorError` for a leaf or an incomplete chain."""
    for one in bundle.certificates:
        if not is_authority(one):
            raise refused(
                bundle.file, _no_ca(one), "give the certificate of the CA, and not a certificate that it has issued"
            )
    paths = [path_of(bundle, one) for one in bundle.certificates]
    deepest = [path for path in paths if not any(path.ca in other.certificates[1:] for other in paths)]
    return list({path.root: path for path in deepest}.values())


def _no_ca(one: x509.Certificate) -> str:
    return f"has the certificate of {_name(one)}, which is no CA"


def _faults(path: CaPath, names: Sequence[str], at: datetime) -> Iterator[tuple[str, str]]:
    """Yield each fault with its remedy."""
    if not is_authority(path.ca):
        yield _no_ca(path.ca), "the CA has to sign it as a subordinate CA (basicConstraints CA:TRUE)"
        return
    with_leaf = (_leaf(path, names, at), *path.certificates)
    issued_anew = "let the CA above sign it again, with another profile"
    for fault in not_issuing(with_leaf):
        yield f"cannot issue: {fault}", issued_anew
    for one in (*expired(with_leaf[1:], at), *early(with_leaf[1:], at)):
        when = f"{one.not_valid_before_utc:%Y-%m-%d} to {one.not_valid_after_utc:%Y-%m-%d}"
        yield f"has {_name(one)}, which is valid from {when}", "set the clock, or renew that CA"
    for fault in weak(with_leaf[1:]):
        yield f"is too weak: {fault}", "renew that CA with SHA-256, and a key of 2,048 bits, on P-256 or of ML-DSA-44"
    for fault in ill_formed(with_leaf[1:]):
        yield f"has a certificate that peers refuse: {fault}", issued_anew
    for fault in violations(with_leaf):
        yield f"excludes our names: {fault}", "let the CA permit the names of the topology"
    for one in path.certificates:
        yield from _faults_of(one, issued_anew)


def _faults_of(one: x509.Certificate, remedy: str) -> Iterator[tuple[str, str]]:
    usage, usages = extension(one, x509.KeyUsage), extension(one, x509.ExtendedKeyUsage)
    if usage is not None and not usage.crl_sign:
        yield f"has {_name(one)}, whose key usage has no cRLSign: it cannot revoke what it issues", remedy
    if usages is not None and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usages and not set(usages) >= _USAGES:
        yield f"has {_name(one)}, whose extended key usage has not both serverAuth and clientAuth", remedy


def must_be_ours(path: CaPath) -> None:
    """Raise `OperatorError` unless its CA can be our issuing CA: an ECDSA key, and path length 0 or none."""
    key = path.ca.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        raise refused(
            path.file, "has a CA whose key is not ECDSA on P-256 or P-384", "request one: sipmesh ca request FILE"
        )
    if path.ca == path.root:
        remedy = "import a CA below it: sipmesh ca request FILE, and let it sign the request"
        raise refused(path.file, "has a root alone, which should not issue for servers itself", remedy)


def _leaf(path: CaPath, names: Sequence[str], at: datetime) -> x509.Certificate:
    """Return a certificate for *names* as the CA would issue it, signed with a throwaway key."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    begin, end = profiles.validity(at, profiles.LEAF_LIFETIME)
    subject = profiles.server_name("draft", names[0])
    wish = CertificateProfile(CertificateKind.SERVER, subject, tuple(names), key, begin, end, "http://draft.invalid/")
    return draft(profiles.builder(wish, path.ca.subject, key), x509.random_serial_number(), KeyAlgorithm.P_256)


def _name(one: x509.Certificate) -> str:
    return one.subject.rfc4514_string() or "a CA without a name"
