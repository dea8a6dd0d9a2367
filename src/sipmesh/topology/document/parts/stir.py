"""How the signatures of a trunk's calls are verified, and how our calls are signed (STIR/SHAKEN)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from sipmesh.topology.document.names import CrlHost, HostChainFile, HostKeyFile, HttpUrl, OurAnchorFile, OurCrlFileOrUrl
from sipmesh.topology.document.parts.part import Part

MOST_HOSTS = 100


class StirMode(StrEnum):
    """What follows from a signature that is missing or wrong."""

    OFF = "off"
    REPORT = "report"
    REQUIRE = "require"


class CallSigner(Part):
    """Signs our users' calls through the trunk. The attest is A for a user's own number, and B for `main_number`."""

    certificate: HostChainFile = Field(
        description="certificate chain, leaf first, whose TNAuthList has our numbers; on each server of the gateway"
    )
    key: HostKeyFile = Field(description="private key of that certificate, on P-256")
    url: HttpUrl = Field(description="URL at which others fetch that certificate chain; publish it there")


class Stir(Part):
    """The gateway verifies the signatures of the trunk's calls, and phones see the result. It may sign our calls."""

    incoming: StirMode = Field(
        default=StirMode.REPORT,
        description="report: each call passes, with the result; require: a call without a valid signature is refused; "
        "off: nothing is verified",
    )
    anchors: tuple[OurAnchorFile, ...] = Field(
        default=(), max_length=100, description="PEM files of the roots of signers, on each server of the gateway"
    )
    hosts: tuple[CrlHost, ...] = Field(
        default=(), max_length=MOST_HOSTS, description="hosts from which the certificates of signers are fetched"
    )
    crls: tuple[OurCrlFileOrUrl, ...] = Field(
        default=(),
        max_length=MOST_HOSTS,
        description="one CRL for each CA in the chains of signers: files on each server of the gateway, or URLs; without "
        "`crls` and `crl_hosts`, revocation is not checked",
    )
    crl_hosts: tuple[CrlHost, ...] = Field(
        default=(),
        max_length=MOST_HOSTS,
        description="hosts from which the CRLs are fetched that these certificates name",
    )
    sign: CallSigner | None = Field(default=None, description="signs our calls; by default they are not signed")
