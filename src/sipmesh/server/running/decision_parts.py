"""The parts of one server that every message meets: dispatch, the core of the proxy, and what receives from other processes."""

from __future__ import annotations

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
from sipmesh.server.quotas.overload_admission import OverloadAdmission

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
        self.core = self._core()
        self.dispatch = self._dispatch()
        self.sweep = Sweep(
            relays.relay, peers.accounts, peers.peer_log, forwarding.registrations, events, setup.loop.call_soon
        )

    def __repr__(self) -> str:
        return f"<DecisionParts {self.dispatch!r}>"

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
            calls=forwarding.calls,
            registrations=forwarding.registrations,
            delivery=self._events.delivery,
            outages=forwarding.outages,
            trunk_outages=forwarding.trunk_outages,
            siblings=peers.siblings,
            media=forwarding.media,
        )

    def _core(self) -> ProxyCore:
        setup, peers, forwarding = self._setup, self._peers, self._forwarding
        responder = Responder(
            forwarding.server_transactions, peers.refusals, peers.accounts, forwarding.records, peers.peer_log
        )
        return ProxyCore(
            current=setup.current,
            state=self._state(),
            clock=setup.loop.time,
            relay=self._relays.relay,
            acks=forwarding.acks,
            release=forwarding.release,
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
            forwarding.calls,
            forwarding.registrations,
            self._users.failures,
            setup.outside,
            setup.loop.time,
            setup.log,
        )
