"""The user behind a request to the portal, and how one has signed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.server.console.access.account import Account
from sipmesh.server.console.access.operator import Operator
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.document.parts.oauth import OAuth
from sipmesh.topology.portal_ways import Way, ways_of

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.operators.openid import OpenId, OpenIdAuthority

SESSION_S: Final = 3600.0
IDLE_S: Final = 900.0
MOST_SESSIONS: Final = 10_000
MOST_OF_USER: Final = 5


@dataclass(frozen=True, slots=True)
class PortalUser(Operator):
    """The *user*, such as alice@example.com, whose operations change this account only (`OwnOperations`)."""

    user: str = ""

    @classmethod
    def of(cls, user: str) -> PortalUser:
        """Return the user with the name for the audit log."""
        return cls(f"{user} (portal)", ConsoleRole.OPERATOR, user)

    @classmethod
    def at_web_phone(cls, user: str, server: str, device: str) -> PortalUser:
        """Return the user of a web phone at *server*, with the name of the *device* that has logged in, "" for none."""
        device = f", device {device}" if device else ""
        return cls(f"{user} (web phone at {server}{device})", ConsoleRole.OPERATOR, user)


@dataclass(frozen=True, slots=True)
class PortalLogin:
    """A sign-in of *user* by one of the ways into the portal, until *ends_at* in seconds of *clock*.

    *account* is the account as it is then: another one ends the session. *subject* and *session* are the hashes of the claims
    ``sub`` and ``sid``, "" for none, as with a ticket or a link. *browser* is the hash of the address and the user agent: the
    session counts there alone.
    """

    way: Way
    account: Account
    subject: str
    session: str
    browser: str
    ends_at: float
    clock: Callable[[], float]

    @property
    def user(self) -> str:
        """The address of the user, without scheme."""
        return self.account.user

    @property
    def owner(self) -> str:
        """The user."""
        return self.user

    def operator(self, topology: Topology, proved: Callable[[], str]) -> Operator | None:  # noqa: ARG002
        """Return the user, None after the end or if the topology in force does not have this way any more."""
        if self.way not in ways_of(topology) or self.clock() >= self.ends_at:
            return None
        return PortalUser.of(self.user)


@dataclass(frozen=True, slots=True)
class PortalClientEntry:
    """The portal as a client of the provider of *oauth*, as `CodeFlow` wants it."""

    oauth: OAuth
    client_id: str
    scopes: Sequence[str]

    @classmethod
    def of(cls, topology: Topology) -> PortalClientEntry | None:
        """Return the client in the topology, None if there is no portal."""
        oauth = topology.oauth
        if oauth is None or oauth.portal is None or topology.invitations is None:
            return None
        return cls(oauth, oauth.portal.client_id, oauth.portal.scopes)

    @property
    def issuer(self) -> str:
        """The URL of the provider."""
        return self.oauth.issuer

    @property
    def authority(self) -> OpenIdAuthority:
        """Who may have issued the certificate of the provider."""
        return self.oauth.authority


def provider_of(topology: Topology) -> OAuth | OpenId | None:
    """Return the provider that may tell of logouts: that of the users, or else that of the operators."""
    return topology.oauth or (topology.console.openid if topology.console is not None else None)


def clients_of(topology: Topology) -> Mapping[str, str]:
    """Return the clients whose users this provider may log out here, with their names in the topology.

    The console is one of them, if its operators have the same provider.
    """
    provider, oauth = provider_of(topology), topology.oauth
    openid = topology.console.openid if topology.console is not None else None
    entries = {
        "web_phone": oauth.web_phone if oauth is not None else None,
        "portal": oauth.portal if oauth is not None else None,
        "console": openid if openid is not None and provider is not None and openid.issuer == provider.issuer else None,
    }
    return {entry.client_id: name for name, entry in entries.items() if entry is not None}
