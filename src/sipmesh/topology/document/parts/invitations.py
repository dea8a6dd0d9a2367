"""The pages at which a device of a user takes an invitation."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from sipmesh.topology.document.names import Fqdn, HostChainFile, HostKeyFile, ListenOn
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.parts.portal import PortalEntry

HTTPS_PORT = 443
CONTACTS: Final = "/contacts"
"""The path of the contacts of users, on the same port."""

RULES: Final = "/rules"
"""The path at which the web phone changes the rules of its user's calls."""

LOG_OUT: Final = "/logout"
"""The path at which the web phone ends its tickets."""


class InvitationPages(Part):
    """The HTTPS port of the management server at which devices take invitations: strangers may reach it."""

    listen: ListenOn = Field(description="address:port to listen on by HTTPS, or a port on loopback")
    name: Fqdn | None = Field(
        default=None, description="host name in the links of invitations; by default that of the management server"
    )
    port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        strict=True,
        description="port in the links, if a router forwards another one; by default that of `listen`",
    )
    certificate: HostChainFile | None = Field(
        default=None,
        description="certificate chain for `name`, leaf first, of a CA that browsers accept; by default the server's own",
    )
    key: HostKeyFile | None = Field(default=None, description="private key of that certificate")
    portal: PortalEntry | None = Field(
        default=None, description="ways into the portal of the users beside `oauth.portal`; by default none"
    )
