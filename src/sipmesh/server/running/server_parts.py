"""All parts of one server, from the judge of peers to the pool of links, in the order in which they are built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.running.decision_parts import DecisionParts
from sipmesh.server.running.event_parts import event_server
from sipmesh.server.running.forwarding_parts import ForwardingParts
from sipmesh.server.running.link_parts import LinkParts
from sipmesh.server.running.peer_parts import PeerParts
from sipmesh.server.running.relay_parts import RelayParts
from sipmesh.server.running.user_parts import UserParts

if TYPE_CHECKING:
    from sipmesh.server.running.server_setup import ServerSetup


class ServerParts:
    """The parts that *setup* leads to. Each knows those before it; nothing listens yet."""

    def __init__(self, setup: ServerSetup) -> None:
        self.peers = PeerParts(setup)
        self.forwarding = ForwardingParts(setup, self.peers)
        self.users = UserParts(setup, self.peers, self.forwarding)
        self.events = event_server(setup, self.peers, self.forwarding)
        self.relays = RelayParts(setup, self.peers, self.forwarding, self.users, self.events)
        self.decisions = DecisionParts(setup, self.peers, self.forwarding, self.users, self.events, self.relays)
        self.links = LinkParts(setup, self.peers, self.decisions.dispatch)
