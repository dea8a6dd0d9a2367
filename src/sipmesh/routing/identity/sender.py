"""The sender of a request: a client's flow, or a server with a proved identity; never an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from sipmesh.routing.identity.alias import OwnerOf, name_of, nobody
from sipmesh.routing.identity.dialog_token import FlowSide, PeerSide, Side, owner_hash
from sipmesh.routing.numbers.e164 import caller_number
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.tel import NO_DOMAIN, number_of
from sipmesh.sip.uri import SipUri, unescaped
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.trusted_peer import TrustedPeer

NOBODY: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class CarriedLogin:
    """A login of *user* at the *home* pool, by a link that this server carries.

    *server* is the server of that pool that has authenticated the user, and *flow* the number of our link to it. *route* is its
    Service-Route, with its token of the login. *path* is our token of the user's link.
    """

    user: str
    home: str
    server: str
    flow: int
    route: str
    path: str


NO_LOGINS: Final[Mapping[str, CarriedLogin]] = MappingProxyType({})


@dataclass(init=False, slots=True, unsafe_hash=True)
class ClientSender:
    """A client's link: its number *flow* in this *incarnation* of the server, and the addresses of record proved on it.

    *device* is the user whose device the link has proved by a certificate, "" without one: the link may prove no other user.
    *owners* are the hashes of *users*, as in tokens. *owner_of* finds the user of an alias. *logins* are the users whom another
    server has authenticated; this server does not speak for them. Do not change an instance: make another one.
    """

    incarnation: int
    flow: int
    users: frozenset[str]
    owner_of: OwnerOf = field(repr=False, compare=False)
    logins: Mapping[str, CarriedLogin] = field(repr=False, compare=False)
    device: str = field(compare=False)
    owners: frozenset[bytes] = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        incarnation: int,
        flow: int,
        users: frozenset[str] = frozenset(),
        owner_of: OwnerOf = nobody,
        logins: Mapping[str, CarriedLogin] = NO_LOGINS,
        device: str = "",
    ) -> None:
        self.incarnation, self.flow, self.users, self.device = incarnation, flow, users, device
        self.owner_of, self.logins = owner_of, logins
        self.owners = frozenset([owner_hash(user) for user in users]) if users else NOBODY

    def side(self, user: str) -> Side:
        """Give the dialog-token side of this client when it acts for *user*."""
        return FlowSide(self.incarnation, self.flow, owner_hash(user))

    def is_side(self, side: Side) -> bool:
        """Tell whether *side* means this client.

        A client on a new link is still the same side, once the new link has proved the same user.
        """
        return isinstance(side, FlowSide) and side.owner in self.owners

    def may_speak_as(self, address: NameAddr, allowed: frozenset[str]) -> bool:  # noqa: ARG002 - domains are for servers
        """Tell whether this client has proved that it is the user of *address*, which may be an alias of the user."""
        if not self.users:
            return False
        if address.is_sip and address.aor in self.users:
            return True
        name = name_of(address)
        return name is not None and self.owner_of(name.aor) in self.users

    def user_named(self, address: NameAddr) -> str:
        """Give the proved user whose name or alias *address* is, "" if it is none."""
        name = name_of(address)
        found = (name.aor, self.owner_of(name.aor)) if name is not None else ()
        return next((user for user in found if user in self.users), "")

    def user_of(self, side: Side) -> str | None:
        """Give the proved user that *side* means, or None."""
        for user in self.users:
            if isinstance(side, FlowSide) and owner_hash(user) == side.owner:
                return user
        return None


@dataclass(frozen=True, slots=True)
class ServerSender:
    """A link between servers: its *kind*, and the topology entry whose identity the peer has proved.

    *owner_of* finds the user of an alias.
    """

    kind: LinkKind
    peer: TrustedPeer
    owner_of: OwnerOf = field(default=nobody, repr=False, compare=False)

    def side(self, user: str) -> Side:  # noqa: ARG002 - a server is one side for all of its users
        """Give the dialog-token side of this server."""
        return peer_side(self.peer)

    def is_side(self, side: Side) -> bool:
        """Tell whether *side* means this server or another server of its pool."""
        return peer_side(self.peer) == side

    def may_speak_as(self, address: NameAddr, allowed: frozenset[str]) -> bool:
        """Tell whether *address* is a name in one of the domains *allowed* to this server."""
        name = name_of(address)
        return name is not None and self.may_use(name, allowed)

    def may_use(self, name: SipUri, allowed: frozenset[str]) -> bool:
        """Tell whether this server may send as *name*: of the domains *allowed*, or a name that the topology gives to it alone.

        A telephone number is the same in all domains. So a number that is an alias of a user is allowed to servers of that
        user's domain only, and a ``tel:`` URI to our own front ends, which know whose it is.
        """
        if name.host in allowed and not may_be_number(name):
            return True
        owner = self.owner_of_name(name)
        if owner:
            return (name.host in allowed or name.host == NO_DOMAIN) and owner.rpartition("@")[2] in allowed
        return name.host in allowed or self.has_own(name)

    def has_own(self, name: SipUri) -> bool:
        """Tell whether the topology gives *name* to this application alone."""
        own = self.peer.own
        return own is not None and own.has(name.aor, caller_number(name) if name.host in own.domains else "")

    def owner_of_name(self, name: SipUri) -> str:
        """Give the user whose alias *name* is, "" if no user has it.

        A global number counts with any parameters behind it in the user part: phones show the number alone.
        """
        if name.user is not None and may_be_number(name):
            number = number_of(unescaped(name.user).partition(";")[0])
            owner = self.owner_of(f"sip:{number.number}@{NO_DOMAIN}") if number is not None else ""
            if owner:
                return owner
        return self.owner_of(name.aor)


Sender = ClientSender | ServerSender


def may_be_number(name: SipUri) -> bool:
    """Tell whether *name* can be a telephone number that means the same in another domain: one with a ``+``, ``;`` or escape."""
    user = name.user or ""
    return "+" in user or ";" in user or "%" in user or name.host == NO_DOMAIN


def peer_side(peer: TrustedPeer) -> PeerSide:
    """Give the side of a peer: its pool if it has one, because every server of a pool may continue a dialog."""
    return named_side(peer.pool or peer.name)


def named_side(name: str) -> PeerSide:
    """Give the side of a pool or a partner with that *name*."""
    return PeerSide(owner_hash(name))
