"""The CRLs that a CA has published, as a relying party reads them."""

from __future__ import annotations

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.trust.revocation.crl import RevocationList


def published(ca: EnterpriseCa, kind: CertificateKind = CertificateKind.ISSUING) -> RevocationList:
    """Read the newest CRL of one of its two CAs, with its signature verified."""
    issuer = ca.issuing if kind is CertificateKind.ISSUING else ca.root
    return RevocationList.load((ca.folder / f"{kind}.crl").read_bytes(), [issuer])
