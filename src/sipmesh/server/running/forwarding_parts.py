"""The parts of one server that forward requests: registrations, outages, media policy, relay, ACK, release of calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sipmesh.routing.registrar.registrar import RegistrarLimits
from sipmesh.server.proxy.call_table import CallTable
from sipmesh.server.proxy.calls.call_release import CallRelease
from sipmesh.server.proxy.calls.identity_service import IdentityService
from sipmesh.server.proxy.calls.media_guard import MediaGuard
from sipmesh.server.proxy.liveness.keepalives import Liveness
from sipmesh.server.proxy.liveness.outages import Outages
from sipmesh.server.proxy.liveness.trunk_outages import TrunkOutages
from sipmesh.server.proxy.records.call_recorder import CallRecorder
from sipmesh.server.proxy.records.record_buffer import RecordBuffer
from sipmesh.server.proxy.registrar.registrations import Registrations
from sipmesh.server.proxy.transactions.ack_forwarder import AckForwarder
from sipmesh.server.proxy.transactions.answerers import Answerers
from sipmesh.server.proxy.transactions.branch_requests import BranchRequests
from sipmesh.server.proxy.transactions.privacy_service import PrivacyService
from sipmesh.server.proxy.transactions.server_transactions import ServerTransactions
from sipmesh.server.proxy.under_way import UnderWay
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.running.peer_parts import PeerParts
    from sipmesh.server.running.server_setup import ServerSetup


class ForwardingParts:
    """The registrar, and what forwards requests."""

    def __init__(self, setup: ServerSetup, peers: PeerParts) -> None:
        self.registrations = _registrations(setup, peers)
        self.outages = Outages(
            setup.loop,
            peers.flow_table,
            setup.limits,
            setup.outside,
            peers.peer_log,
            for_control=setup.place.is_supervisor,
        )
        self.trunk_outages = TrunkOutages(setup.loop.time, peers.peer_log)
        self.liveness = Liveness(setup.loop, setup.limits, self.outages)
        self.identity = IdentityService(
            setup.current, peers.gatekeeper, lambda: peers.certificates.presented.of(LinkKind.SERVER), peers.peer_log
        )
        self.media = MediaGuard(setup.current, peers.flow_table)
        self.records = CallRecorder(
            (setup.view.name, setup.process),
            setup.current,
            RecordBuffer(),
            peers.refusals,
            self.registrations,
            setup.limits.calls_named,
            setup.loop.time,
            time.time,
        )
        self.calls = CallTable(setup.limits.calls_named, peers.siblings, self.records)
        self.under_way = UnderWay(self.calls, peers.siblings)
        self.answerers = Answerers(setup.stores.tokens)
        self.privacy = PrivacyService(setup.stores.tokens, self.answerers)
        self.requests = BranchRequests(
            peers.flow_table, setup.stores.tokens, setup.branches, setup.advertised, setup.current, self.privacy
        )
        self.acks = AckForwarder(peers.flow_table, self.requests, self.outages, self.calls)
        self.release = CallRelease(self.requests, self.acks, self.calls)
        self.server_transactions = ServerTransactions(setup.loop.time, setup.advertised, self.records)

    def __repr__(self) -> str:
        return f"<ForwardingParts {self.server_transactions!r}, {self.registrations!r}>"


def _registrations(setup: ServerSetup, peers: PeerParts) -> Registrations:
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
        peers.siblings,
    )
