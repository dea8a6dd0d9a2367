"""The parts of one server that forward requests: registrations, outages, media policy, relay, ACK, release of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.registrar.registrar import RegistrarLimits
from sipmesh.server.proxy.call_table import CallTable
from sipmesh.server.proxy.calls.call_release import CallRelease
from sipmesh.server.proxy.calls.identity_service import IdentityService
from sipmesh.server.proxy.calls.media_guard import MediaGuard
from sipmesh.server.proxy.liveness.keepalives import Liveness
from sipmesh.server.proxy.liveness.outages import Outages
from sipmesh.server.proxy.registrar.registrations import Registrations
from sipmesh.server.proxy.relay import Relay
from sipmesh.server.proxy.transactions.ack_forwarder import AckForwarder
from sipmesh.server.proxy.transactions.answerers import Answerers
from sipmesh.server.proxy.transactions.branch_requests import BranchRequests
from sipmesh.server.proxy.transactions.client_transactions import ClientTransactions
from sipmesh.server.proxy.transactions.privacy_service import PrivacyService
from sipmesh.server.proxy.transactions.server_transactions import ServerTransactions
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.server.running.peer_parts import PeerParts
    from sipmesh.server.running.server_setup import ServerSetup


class ForwardingParts:
    """The registrar and the proxy core; *registered* is called with each user who has registered."""

    def __init__(self, setup: ServerSetup, peers: PeerParts, registered: Callable[[str], None]) -> None:
        self.registrations = _registrations(setup, peers, registered)
        self.outages = Outages(setup.loop, peers.flow_table, setup.limits, peers.peer_log)
        self.liveness = Liveness(setup.loop, setup.limits, self.outages)
        self.identity = IdentityService(
            setup.current, peers.gatekeeper, lambda: peers.certificates.presented.of(LinkKind.SERVER), peers.peer_log
        )
        self.media = MediaGuard(setup.current, peers.refusals, peers.flow_table)
        self.relay = self._relay(setup, peers)

    def __repr__(self) -> str:
        return f"<ForwardingParts {self.relay!r}, {self.registrations!r}>"

    def _relay(self, setup: ServerSetup, peers: PeerParts) -> Relay:
        clock, calls = setup.loop.time, CallTable(setup.limits.calls_named, peers.siblings)
        answerers = Answerers(setup.stores.tokens)
        privacy = PrivacyService(setup.stores.tokens, answerers)
        requests = BranchRequests(
            peers.flow_table, setup.stores.tokens, setup.branches, setup.advertised, setup.current, privacy
        )
        self.acks = AckForwarder(peers.flow_table, requests, self.outages, calls)
        self.release = CallRelease(requests, self.acks, calls)
        return Relay(
            setup.current,
            clock,
            peers.flow_table,
            self.registrations.forget,
            requests,
            privacy,
            answerers,
            ServerTransactions(clock, setup.advertised),
            ClientTransactions(clock),
            self.outages,
            calls,
            self.media,
            self.release,
            peers.siblings,
        )


def _registrations(setup: ServerSetup, peers: PeerParts, registered: Callable[[str], None]) -> Registrations:
    """Build the registrar of this process, whose GRUUs name its port for clients."""
    client_port = setup.advertised.get(LinkKind.CLIENT)
    return Registrations(
        setup.process,
        setup.place.lease,
        setup.stores.tokens,
        setup.stores.locations,
        RegistrarLimits(),
        setup.loop.time,
        setup.log,
        peers.peer_log,
        setup.stores.gruus,
        client_port.sent_by if client_port is not None else "",
        registered,
        peers.siblings,
    )
