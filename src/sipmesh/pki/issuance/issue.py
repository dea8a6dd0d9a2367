"""Issue a certificate. The steps are always: draft, lint, journal, signature, lint of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import LocalError
from sipmesh.pki.issuance import lint, profiles
from sipmesh.pki.issuance.signer import CaSigner, draft
from sipmesh.pki.keys.algorithm import KeyAlgorithm, OwnPublicKey
from sipmesh.trust.x509.certificate import extension

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.pki.issuance.profiles import CertificateProfile
    from sipmesh.pki.ledger.ledger import Ledger

NOT_OURS = "our CAs have keys of ECDSA on P-256 or P-384, or of ML-DSA-44"


def issue_certificate(
    wish: CertificateProfile, signer: CaSigner, above: tuple[x509.Certificate, ...], ledger: Ledger, at: datetime
) -> x509.Certificate:
    """Issue a certificate at the instant *at*. *above* are its issuers, the nearest first; empty for a root.

    The caller has the lock of the CA. Raises LintRefusedError if the profile does not allow the certificate: before the
    signature, or after it if the result differs from the draft.
    """
    issuer = above[0] if above else None
    issuer_key = issuer.public_key() if issuer else wish.key
    if not isinstance(issuer_key, OwnPublicKey):
        raise LocalError(NOT_OURS)
    identifier = extension(issuer, x509.SubjectKeyIdentifier) if issuer else None
    builder = profiles.builder(wish, issuer.subject if issuer else wish.subject, issuer_key, identifier)
    drafted = draft(builder, x509.random_serial_number(), algorithm_of(issuer_key))
    lint.refuse(lint.lint(drafted, wish, issuer), ledger.folder)
    names = wish.names or (wish.subject.rfc4514_string(),)
    ticket = ledger.reserve(drafted.serial_number, signer.kind, wish.kind, names, (wish.not_before, wish.not_after), at)
    signed = signer.sign(builder, ticket)
    faults = lint.lint(signed, wish, issuer) + lint.check_signed(signed, drafted, above, at=at)
    lint.refuse(faults, ledger.folder)
    ledger.issued(signed.serial_number, signed.public_bytes(Encoding.DER))
    return signed


def own_key(certificate: x509.Certificate) -> OwnPublicKey:
    """Give the public key of one of our certificates; a key of another algorithm is a LocalError."""
    key = certificate.public_key()
    if not isinstance(key, OwnPublicKey):
        raise LocalError(NOT_OURS)
    return key


def algorithm_of(key: OwnPublicKey) -> KeyAlgorithm:
    """Give the algorithm of the *key* of one of our CAs; another one is a LocalError."""
    found = KeyAlgorithm.of(key)
    if found is None:
        raise LocalError(NOT_OURS)
    return found
