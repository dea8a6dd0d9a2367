"""The parts of one server that forward requests: registrations, outages, media policy, relay, ACK, release of calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sipmesh.routing.numbers.call_bounds import SpentTime
from sipmesh.routing.registrar.registrar import RegistrarLimits
from sipmesh.server.proxy.bridging.bridges import Bridges
from sipmesh.server.proxy.call_table import CallTable
from sipmesh.server.proxy.calls.call_bounds import CallBounds
from sipmesh.server.proxy.calls.call_release import CallRelease
from sipmesh.server.proxy.calls.established_calls import EstablishedCalls
from sipmesh.server.proxy.calls.identity_service import IdentityService
from sipmesh.server.proxy.calls.media_guard import MediaGuard
from sipmesh.server.proxy.calls.outsiders import Outsiders
from sipmesh.server.proxy.calls.trunk_calls import TrunkCalls
from sipmesh.server.proxy.events.message_history import MessageHistory
from sipmesh.server.proxy.liveness.keepalives import Liveness
from sipmesh.server.proxy.liveness.outages import Outages
from sipmesh.server.proxy.liveness.trunk_outages import TrunkOutages
from sipmesh.server.proxy.records.call_recorder import CallRecorder
from sipmesh.server.proxy.records.record_buffer import RecordBuffer
from sipmesh.server.proxy.registrar.registrations import Registrations
from sipmesh.server.proxy.rtpengine.control_socket import ControlSocket
from sipmesh.server.proxy.transactions.ack_forwarder import AckForwarder
from sipmesh.server.proxy.transactions.answerers import Answerers
from sipmesh.server.proxy.transactions.branch_requests import BranchRequests
from sipmesh.server.proxy.transactions.privacy_service import PrivacyService
from sipmesh.server.proxy.transactions.server_transactions import ServerTransactions
from sipmesh.server.proxy.trunks.call_signer import CallSigner
from sipmesh.server.proxy.trunks.number_verifier import NumberVerifier
from sipmesh.server.proxy.trunks.signer_chains import SignerChains
from sipmesh.server.proxy.trunks.signer_lists import SignerLists
from sipmesh.server.proxy.trunks.trunk_logins import TrunkLogins
from sipmesh.server.proxy.under_way import UnderWay
from sipmesh.server.proxy.used_passports import UsedPassports
from sipmesh.server.running.server_setup import new_token
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.running.peer_parts import PeerParts
    from sipmesh.server.running.server_setup import ServerSetup


class ForwardingParts:
    """The registrar, and what forwards requests."""

    def __init__(self, setup: ServerSetup, peers: PeerParts) -> None:
        self.registrations = _registrations(setup, peers)
        self.outages = _outages(setup, peers)
        self.trunk_outages = TrunkOutages(setup.loop.time, peers.peer_log)
        self.liveness = Liveness(setup.loop, setup.limits, self.outages)
        lists = SignerLists(setup.current, setup.loop.time)
        self.passports = UsedPassports(peers.siblings, peers.peer_log)
        self.numbers = NumberVerifier(
            peers.gatekeeper, SignerChains(setup.loop.time), lists, self.passports, peers.peer_log
        )
        self.identity = IdentityService(
            setup.current,
            peers.gatekeeper,
            lambda: peers.certificates.presented.of(LinkKind.SERVER),
            peers.peer_log,
            self.numbers,
            self.passports,
        )
        self.answerers = Answerers(setup.stores.tokens)
        self.privacy = PrivacyService(setup.stores.tokens, self.answerers)
        self.trunk_logins = TrunkLogins(setup.current, peers.peer_log)
        self.requests = BranchRequests(
            peers.flow_table,
            setup.stores.tokens,
            setup.branches,
            setup.advertised,
            setup.current,
            self.privacy,
            self.trunk_logins,
            CallSigner(setup.current, peers.gatekeeper, peers.peer_log),
        )
        bridges, records = _bridges(setup, peers), _records(setup, peers, self.registrations)
        table = CallTable(setup.limits.calls_named, peers.siblings, records, bridges)
        self.acks = AckForwarder(peers.flow_table, self.requests, self.outages, table)
        self.calls = _calls(setup, peers, self.requests, self.acks, table, bridges, records)
        self.media = MediaGuard(setup.current, peers.flow_table, bridges)
        self.under_way = UnderWay(table, peers.siblings)
        self.outsiders = Outsiders(peers.flow_table, table, self.calls.release, peers.gatekeeper, setup.loop.time)
        self.history = MessageHistory(
            setup.stores.history_cipher,
            setup.stores.messages,
            setup.current,
            setup.rules.partner_of,
            new_token,
            setup.loop.time,
            setup.log,
        )
        self.server_transactions = ServerTransactions(setup.loop.time, setup.advertised, records, table, self.history)


def _outages(setup: ServerSetup, peers: PeerParts) -> Outages:
    return Outages(
        setup.loop,
        peers.flow_table,
        setup.limits,
        setup.outside,
        peers.peer_log,
        for_control=setup.place.is_supervisor,
    )


def _bridges(setup: ServerSetup, peers: PeerParts) -> Bridges:
    """Build what has calls bridged by the rtpengine of this host."""
    control = ControlSocket(setup.current, setup.loop, new_token(), peers.peer_log)
    return Bridges(setup.current, peers.flow_table, control, setup.branches, setup.limits.calls_named)


def _records(setup: ServerSetup, peers: PeerParts, registrations: Registrations) -> CallRecorder:
    return CallRecorder(
        (setup.view.name, setup.process),
        setup.current,
        RecordBuffer(),
        peers.refusals,
        registrations,
        setup.limits.calls_named,
        setup.loop.time,
        time.time,
    )


def _calls(
    setup: ServerSetup,
    peers: PeerParts,
    requests: BranchRequests,
    acks: AckForwarder,
    table: CallTable,
    bridges: Bridges,
    records: CallRecorder,
) -> EstablishedCalls:
    """Build what this server keeps of the calls that are up."""
    spent = SpentTime()
    trunks = TrunkCalls(
        setup.limits.calls_named, setup.current, peers.flow_table, peers.siblings, spent, setup.loop.time
    )
    bounds = CallBounds(setup.current, trunks, spent, time.time, peers.peer_log)
    release = CallRelease(requests, acks, table, trunks, peers.peer_log)
    return EstablishedCalls(setup.current, requests, table, trunks, bounds, bridges, records, release)


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
