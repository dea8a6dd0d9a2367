"""The cross-certificate: the issuing CA of the next generation, certified by the root before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.pki.issuance.issue import ecdsa_key
from sipmesh.pki.issuance.profiles import CertificateKind, CertificateProfile

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

CROSS: Final = "issuing-cross.pem"
"""Its file in the folder of the newer CA; servers present it as long as it has this name."""


class CaFolder(Protocol):
    """What must be known of a CA to cross-certify it, or by it."""

    @property
    def folder(self) -> Path:
        """Where its files are."""

    @property
    def root(self) -> x509.Certificate:
        """Its root."""

    @property
    def issuing(self) -> x509.Certificate:
        """Its issuing CA."""

    @property
    def crl_base(self) -> str:
        """The URL below which its CRLs are published."""


def cross_wish(older: CaFolder, newer: CaFolder) -> CertificateProfile:
    """Describe the cross-certificate. It expires with the first of the older root and the newer issuing CA."""
    issuing = newer.issuing
    return CertificateProfile(
        kind=CertificateKind.ISSUING,
        subject=issuing.subject,
        names=(),
        key=ecdsa_key(issuing),
        not_before=issuing.not_valid_before_utc,
        not_after=min(issuing.not_valid_after_utc, older.root.not_valid_after_utc),
        crl_url=f"{older.crl_base}/root.crl",
    )
