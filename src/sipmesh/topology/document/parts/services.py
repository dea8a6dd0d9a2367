"""What users get besides calls and messages, and the DNS servers."""

from __future__ import annotations

from pydantic import Field

from sipmesh.topology.document.names import (
    AddressAndPort,
    DnsTrustAnchor,
    SecretFile,
    TurnUri,
    WebOrigin,
)
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.watching import Watching


class WebSocket(Part):
    """SIP over secure WebSocket (RFC 7118), for phones in web pages. Front ends listen for it if this part exists."""

    origins: tuple[WebOrigin, ...] = Field(
        default=(), description="web origins whose pages may connect; by default https at each SIP domain"
    )
    phone: bool = Field(
        default=False, description="front ends serve the web phone at /phone of this port; by default they do not"
    )


class Dns(Part):
    """The DNS servers to use instead of those of the machine."""

    servers: tuple[AddressAndPort, ...] = Field(min_length=1, description="address or address:port of each DNS server")
    trust_anchors: tuple[DnsTrustAnchor, ...] = Field(
        default=(),
        max_length=16,
        description="DS records, as ZONE KEYTAG ALGORITHM DIGESTTYPE DIGEST: servers then validate DNSSEC themselves",
    )


class Presence(Part):
    """Who may watch the presence of our users."""

    inside: Watching = Field(
        default=Watching.ALLOW, description="users of our own domains: allow, polite-block or block"
    )
    partners: Watching = Field(default=Watching.BLOCK, description="users of partners: allow, polite-block or block")


class Turn(Part):
    """Servers that relay the media of users behind a NAT. Users get credentials for them with an end."""

    servers: tuple[TurnUri, ...] = Field(
        min_length=1, max_length=8, description="turn:, turns:, stun: or stuns: with host, and ?transport=udp or tcp"
    )
    secret_file: SecretFile = Field(
        description="file on each front end with the secret of the TURN servers (static-auth-secret), mode 0600"
    )
    lifetime_s: int = Field(default=7200, ge=3660, le=86_400, description="seconds for which a password is valid")
