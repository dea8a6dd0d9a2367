"""The CRLs that a CA has published, as a relying party reads them, and another issuing CA under its root."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.trust.revocation.crl import RevocationList


def published(ca: EnterpriseCa, kind: CertificateKind = CertificateKind.ISSUING) -> RevocationList:
    """Read the newest CRL of one of its two CAs, with its signature verified."""
    issuer = ca.issuing if kind is CertificateKind.ISSUING else ca.root
    return RevocationList.load((ca.folder / f"{kind}.crl").read_bytes(), [issuer])


def issuing_beside(ca: EnterpriseCa, at: datetime) -> x509.Certificate:
    """Make the certificate of another issuing CA under the root of *ca*, as after a new one was prepared."""
    old, key = ca.issuing, files.new_key()
    times = at - timedelta(hours=1), at + timedelta(days=99)
    builder = x509.CertificateBuilder(old.issuer, old.subject, key.public_key(), 78, *times)
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(files.read_key(ca.folder / "root.key"), hashes.SHA256())


def root_of_same_name(root: bytes) -> bytes:
    """A root (PEM) with the names of *root* (PEM) and another key, so that it has signed nothing of that CA."""
    model, key, now = x509.load_pem_x509_certificate(root), files.new_key(), datetime.now(UTC)
    builder = x509.CertificateBuilder(model.subject, model.subject, key.public_key(), 7, now, now + timedelta(days=9))
    for extension in model.extensions:
        value: x509.ExtensionType = extension.value
        if extension.oid == x509.SubjectKeyIdentifier.oid:
            value = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        elif extension.oid == x509.AuthorityKeyIdentifier.oid:
            value = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        builder = builder.add_extension(value, extension.critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
