"""Who sent a request: a client's flow or a server whose identity was proved, never an address."""

from __future__ import annotations

from dataclasses import dataclass, field

from sipmesh.routing.identity.dialog_token import FlowSide, PeerSide, Side, owner_hash
from sipmesh.sip.fields import NameAddr
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.trusted_peer import TrustedPeer

NOBODY: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class ClientSender:
    """A client's link: its number in this incarnation of the server, and the addresses of record proved on it.

    *owners* are the hashes of *users*, as tokens carry them.
    """

    incarnation: int
    flow: int
    users: frozenset[str] = frozenset()
    owners: frozenset[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "owners", frozenset(map(owner_hash, self.users)) if self.users else NOBODY)

    def side(self, user: str) -> Side:
        """Tell how a dialog token names this client when it acts for *user*."""
        return FlowSide(self.incarnation, self.flow, owner_hash(user))

    def is_side(self, side: Side) -> bool:
        """Tell whether this client is the one that *side* names.

        A client that came back on a new link is still the same side once it has proved the same user there.
        """
        return isinstance(side, FlowSide) and side.owner in self.owners

    def may_speak_as(self, address: NameAddr, allowed: frozenset[str]) -> bool:  # noqa: ARG002 - domains are for servers
        """Tell whether this client has proved to be the user of *address*."""
        return address.is_sip and address.aor in self.users

    def user_of(self, side: Side) -> str | None:
        """Tell which of its users *side* names."""
        for user in self.users:
            if isinstance(side, FlowSide) and owner_hash(user) == side.owner:
                return user
        return None


@dataclass(frozen=True, slots=True)
class ServerSender:
    """A link between servers: its kind, and the topology entry that the peer proved to be."""

    kind: LinkKind
    peer: TrustedPeer

    def side(self, user: str) -> Side:  # noqa: ARG002 - a server is one side for all of its users
        """Tell how a dialog token names this server."""
        return peer_side(self.peer)

    def is_side(self, side: Side) -> bool:
        """Tell whether *side* names this server or another of its pool."""
        return peer_side(self.peer) == side

    def may_speak_as(self, address: NameAddr, allowed: frozenset[str]) -> bool:
        """Tell whether the user of *address* is of a domain that this server may speak for: those *allowed*."""
        return address.is_sip and address.sip_uri.host in allowed


Sender = ClientSender | ServerSender


def peer_side(peer: TrustedPeer) -> PeerSide:
    """Name a peer in a token: its pool where it has one, since any server of a pool may go on with a dialog."""
    return named_side(peer.pool or peer.name)


def named_side(name: str) -> PeerSide:
    """Name a pool or a partner in a token by its *name*."""
    return PeerSide(owner_hash(name))
