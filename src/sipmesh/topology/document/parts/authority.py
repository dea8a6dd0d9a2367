"""A certificate authority: ours, or that of a partner."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from pydantic import Field

from sipmesh.topology.document.names import (
    CrlHost,
    DeviceCaFile,
    Hours,
    HttpUrl,
    Mebibytes,
    OurAnchorFile,
    OurCrlFileOrUrl,
)
from sipmesh.topology.document.parts.part import Part
from sipmesh.trust.revocation.revocation_source import RevocationSource

MOST_CRL_HOSTS: Final = 16


class AuthorityEntry(Part):
    """A certificate authority: its trusted roots, and the sources of its revocation status."""

    grace_by_default: ClassVar[timedelta] = timedelta(0)
    """For our own authority: its CRLs are renewed by our own CA."""

    list_limit_by_default: ClassVar[int] = 64
    """In MiB; enough for a million entries, as an old Windows CA may have."""

    anchors: tuple[OurAnchorFile, ...] = Field(min_length=1, description="PEM files of the roots that are trusted")
    crls: tuple[OurCrlFileOrUrl, ...] = Field(
        description="one CRL for each CA in the chain: files, or URLs that servers fetch"
    )
    crl_hosts: tuple[CrlHost, ...] = Field(
        default=(),
        max_length=MOST_CRL_HOSTS,
        description="hosts, as name, *.name or name:port, from which servers fetch the CRLs that its certificates name",
    )
    ocsp: tuple[HttpUrl, ...] = Field(default=(), description="URLs of its OCSP responders, in the order of use")
    revocation: RevocationSource = Field(
        default=RevocationSource.LISTS,
        description="the revocation check: lists, ocsp (OCSP responses where there is no CRL), or both",
    )
    grace: Hours | None = Field(
        default=None,
        description="hours of grace after nextUpdate of a CRL or OCSP response (default: ours 0, a partner's 24)",
    )

    list_limit: Mebibytes | None = Field(
        default=None, description="largest size of a CRL in MiB (default: ours 64, a partner's 8)"
    )

    @property
    def largest_list(self) -> int:
        """The maximum octets of one of its CRLs."""
        return (self.list_limit_by_default if self.list_limit is None else self.list_limit) << 20

    @property
    def grace_time(self) -> timedelta:
        """How long a CRL or an OCSP response is accepted after its next update."""
        return self.grace_by_default if self.grace is None else timedelta(hours=self.grace)


class OwnAuthority(AuthorityEntry):
    """Our own authority, which also has the CAs that issue for devices of users."""

    devices: tuple[DeviceCaFile, ...] = Field(
        default=(),
        description="PEM files of our device issuing CAs, for `client_auth`: many phones present their own certificate alone",
    )
