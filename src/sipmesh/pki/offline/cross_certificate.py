"""The cross-certificate: the root of the older generation certifies the issuing CA of the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.pki.issuance.issue import own_key
from sipmesh.pki.issuance.profiles import CertificateKind, CertificateProfile

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

CROSS: Final = "issuing-cross.pem"
"""File in the folder of the newer CA. Servers present it until there is a file with the name `CROSS_OVER`."""

CROSS_OVER: Final = "issuing-cross.over.pem"
"""The same certificate after the switch. Another host of a management pool has both files then."""


class CaFolder(Protocol):
    """The properties of a CA that a cross-certificate needs."""

    @property
    def folder(self) -> Path:
        """The folder with its files."""

    @property
    def root(self) -> x509.Certificate:
        """Its root certificate."""

    @property
    def issuing(self) -> x509.Certificate:
        """The certificate of its issuing CA."""

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
        key=own_key(issuing),
        not_before=max(issuing.not_valid_before_utc, older.root.not_valid_before_utc),
        not_after=min(issuing.not_valid_after_utc, older.root.not_valid_after_utc),
        crl_url=f"{older.crl_base}/root.crl",
    )
