"""The parts of one server that every message meets: dispatch, the core of the proxy, and what receives from other processes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sipmesh.server.proxy.dispatch import Dispatch
from sipmesh.server.proxy.links.link_lifecycle import LinkLifecycle
from sipmesh.server.proxy.links.reception import Reception
from sipmesh.server.proxy.links.remote_events import RemoteEvents
from sipmesh.server.proxy.proxy_core import ProxyCore
from sipmesh.server.proxy.repeated_refresh import RefreshGate
from sipmesh.server.proxy.responder import Responder
from sipmesh.server.proxy.serving.state import ServingState
from sipmesh.server.proxy.sweep import Sweep
from sipmesh.server.proxy.trunks.trunk_challenges import TrunkChallenges
from sipmesh.server.proxy.trunks.trunk_watch import TrunkWatch
from sipmesh.server.quotas.overload_admission import OverloadAdmission
from sipmesh.server.running.server_setup import new_nonce_key
from sipmesh.server.running.user_parts import NONCE_LIFETIME_S
from sipmesh.sip.digest import Nonces

if TYPE_CHECKING:
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.siblings.siblings import Siblings
    from sipmesh.server.running.forwarding_parts import ForwardingParts
    from sipmesh.server.running.peer_parts import PeerParts
    from sipmesh.server.running.relay_parts import RelayParts
    from sipmesh.server.running.server_setup import ServerSetup
    from sipmesh.server.running.user_parts import UserParts


class DecisionParts:
    """What every message meets: *dispatch* receives it, *core* serves a request."""

    def __init__(
        self,
        setup: ServerSetup,
        peers: PeerParts,
        forwarding: ForwardingParts,
        users: UserParts,
        events: EventServer,
        relays: RelayParts,
    ) -> None:
        self._setup, self._peers, self._forwarding, self._users = setup, peers, forwarding, users
        self._events, self._relays = events, relays
        self._trunk_challenges = TrunkChallenges(
            setup.current,
            Nonces(new_nonce_key(), NONCE_LIFETIME_S),
            users.failures,
            peers.accounts,
            peers.flow_table,
            setup.loop.time,
            peers.peer_log,
        )
        self.core = self._core()
        self.dispatch = self._dispatch()
        self.trunk_watch = TrunkWatch(
            setup.current,
            peers.flow_table,
            events.own_requests,
            forwarding.trunk_logins,
            forwarding.trunk_outages,
            setup.advertised,
            setup.loop.time,
            peers.peer_log,
        )
        self.sweep = Sweep(
            relays.relay,
            peers.accounts,
            peers.peer_log,
            forwarding.registrations,
            events,
            self.trunk_watch if setup.place.watches_trunks else None,
            self._trunk_challenges,
            forwarding.outsiders,
            setup.loop.call_soon,
        )

    def _state(self) -> ServingState:
        setup, peers, forwarding, relays = self._setup, self._peers, self._forwarding, self._relays
        return ServingState(
            tokens=setup.stores.tokens,
            branches=setup.branches,
            listeners=setup.advertised,
            flow_table=peers.flow_table,
            home_flows=relays.home_flows,
            access=relays.access,
            admission=OverloadAdmission(peers.reactor.overload, setup.stores.tokens),
            accounts=peers.accounts,
            failures=self._users.failures,
            client_transactions=relays.relay.client_transactions,
            trunk_calls=forwarding.calls.trunks,
            call_bounds=forwarding.calls.bounds,
            wall=time.time,
            registrations=forwarding.registrations,
            delivery=self._events.delivery,
            outages=forwarding.outages,
            trunk_outages=forwarding.trunk_outages,
            trunk_challenges=self._trunk_challenges,
            siblings=peers.siblings,
            used_tokens=forwarding.passports,
            media=forwarding.media,
        )

    def _core(self) -> ProxyCore:
        setup, peers, forwarding = self._setup, self._peers, self._forwarding
        responder = Responder(
            forwarding.server_transactions, peers.refusals, peers.accounts, forwarding.calls.records, peers.peer_log
        )
        return ProxyCore(
            current=setup.current,
            state=self._state(),
            clock=setup.loop.time,
            relay=self._relays.relay,
            acks=forwarding.acks,
            release=forwarding.calls.release,
            responder=responder,
            events=self._events,
            logins=self._users.logins,
            login_waits=self._relays.login_waits,
            identity=forwarding.identity,
            outside=setup.outside,
        )

    def _dispatch(self) -> Dispatch:
        setup, peers, relays = self._setup, self._peers, self._relays
        links = LinkLifecycle(
            gatekeeper=peers.gatekeeper,
            flow_table=peers.flow_table,
            removal=relays.removal,
            home_flows=relays.home_flows,
            accounts=peers.accounts,
            counters=peers.counters,
            liveness=self._forwarding.liveness,
            outages=self._forwarding.outages,
            outside=setup.outside,
            siblings=peers.siblings,
            log=peers.peer_log,
        )
        return Dispatch(
            flow_table=peers.flow_table,
            links=links,
            core=self.core,
            relay=relays.relay,
            events=self._events,
            refresh_gate=RefreshGate(setup.current, self.core.state),
            outside=setup.outside,
            siblings=peers.siblings,
            log=peers.peer_log,
        )

    def reception(self, workers: Siblings) -> Reception:
        """Build what receives from the other processes of this server."""
        setup, peers, forwarding = self._setup, self._peers, self._forwarding
        remote_events = RemoteEvents(
            flow_table=peers.flow_table,
            home_flows=self._relays.home_flows,
            accounts=peers.accounts,
            removal=self._relays.removal,
            outside=setup.outside,
        )
        return Reception(
            workers,
            peers.reactor,
            self.dispatch,
            remote_events,
            peers.accounts,
            self._users.takeovers,
            forwarding.calls.table,
            forwarding.calls.trunks,
            forwarding.registrations,
            self._users.failures,
            self._users.token_uses,
            forwarding.passports,
            setup.outside,
            setup.loop.time,
            setup.log,
        )
