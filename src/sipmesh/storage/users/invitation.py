"""An invitation: one device of a user may take a password of its own, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Final

PORTAL_LINK: Final = "portal"
"""The *client* of an invitation that sets up no device, but signs its user in to the portal."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """The invitation *id* of the user *aor*, from *created* until *expires*, in UTC. Its secret is stored as a hash only.

    *device* and *client* are the name of the device and the kind of its software, "" if the person chooses. *mac* is
    that of a desk phone, as 12 hexadecimal digits, "" for others. Only clients in *network* may take it, "" means all.
    The device is a *remote* one if it logs in at an edge. It gets a *certificate* in place of a password.
    *is_ticket*: a person has opened it, and the software of the phone may fetch the account.
    """

    id: str
    aor: str
    device: str
    client: str
    mac: str
    network: str
    created: datetime
    expires: datetime
    remote: bool = False
    is_ticket: bool = False
    certificate: bool = False

    @property
    def opens_portal(self) -> bool:
        """Whether it is a link to the portal, with which no device can do anything."""
        return self.client == PORTAL_LINK

    def admits(self, address: str, at: datetime) -> bool:
        """Tell whether a client at this IP address may use the invitation at this instant."""
        return at < self.expires and (not self.network or _is_in(address, self.network))


def _is_in(address: str, network: str) -> bool:
    try:
        client = ip_address(address)
        return (getattr(client, "ipv4_mapped", None) or client) in ip_network(network)
    except ValueError:  # a client that can write to the database can write any value
        return False
