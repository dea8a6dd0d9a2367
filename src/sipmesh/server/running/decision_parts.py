"""The parts of one server that every message meets: dispatch, the core of the proxy, the relay, the way to home pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.proxy.dispatch import Dispatch
from sipmesh.server.proxy.links.flow_removal import FlowRemoval
from sipmesh.server.proxy.links.link_lifecycle import LinkLifecycle
from sipmesh.server.proxy.links.reception import Reception
from sipmesh.server.proxy.links.remote_events import RemoteEvents
from sipmesh.server.proxy.login.access_proxy import AccessProxy
from sipmesh.server.proxy.login.end_of_flow import EndOfFlow
from sipmesh.server.proxy.login.home_flows import HomeFlows
from sipmesh.server.proxy.login.login_waits import LoginWaits
from sipmesh.server.proxy.proxy_core import ProxyCore
from sipmesh.server.proxy.repeated_refresh import RefreshGate
from sipmesh.server.proxy.responder import Responder
from sipmesh.server.proxy.serving.state import ServingState
from sipmesh.server.proxy.sweep import Sweep
from sipmesh.server.quotas.overload_admission import OverloadAdmission
from sipmesh.server.running.server_setup import new_nonce_key, new_token
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.siblings.siblings import Siblings
    from sipmesh.server.running.forwarding_parts import ForwardingParts
    from sipmesh.server.running.peer_parts import PeerParts
    from sipmesh.server.running.server_setup import ServerSetup
    from sipmesh.server.running.user_parts import UserParts


class DecisionParts:
    """What every message meets: *dispatch* receives it, *core* serves a request, *relay* has its branches and responses."""

    def __init__(
        self, setup: ServerSetup, peers: PeerParts, forwarding: ForwardingParts, users: UserParts, events: EventServer
    ) -> None:
        self._setup, self._peers, self._forwarding, self._users, self._events = setup, peers, forwarding, users, events
        end_of_flow = EndOfFlow(setup.view.name, events.own_requests, new_token, peers.peer_log)
        self.access = AccessProxy(
            setup.current,
            setup.stores.tokens,
            peers.flow_table,
            users.logins,
            peers.accounts,
            end_of_flow,
            setup.advertised[LinkKind.SERVER],
            forwarding.outages,
        )
        self.relay = forwarding.relay(setup, peers, self.access)
        login_waits = LoginWaits(setup.loop, users.failures, peers.accounts)
        self.removal = FlowRemoval(
            flow_table=peers.flow_table,
            logins=users.logins,
            login_waits=login_waits,
            access=self.access,
            accounts=peers.accounts,
            registrations=forwarding.registrations,
            relay=self.relay,
            events=events,
            siblings=peers.siblings,
        )
        self.home_flows = HomeFlows(
            peers.reactor,
            peers.flow_table,
            setup.stores.tokens,
            new_nonce_key(),
            end_of_flow,
            self.removal,
            setup.current,
        )
        self.core = self._core(login_waits)
        self.dispatch = self._dispatch()
        self.sweep = Sweep(
            self.relay, peers.accounts, peers.peer_log, forwarding.registrations, events, setup.loop.call_soon
        )

    def __repr__(self) -> str:
        return f"<DecisionParts {self.dispatch!r}>"

    def _state(self) -> ServingState:
        setup, peers, forwarding, overload = self._setup, self._peers, self._forwarding, self._peers.reactor.overload
        return ServingState(
            tokens=setup.stores.tokens,
            branches=setup.branches,
            listeners=setup.advertised,
            overload=overload,
            admission=OverloadAdmission(overload, setup.stores.tokens),
            accounts=peers.accounts,
            failures=self._users.failures,
            flow_table=peers.flow_table,
            registrations=forwarding.registrations,
            outages=forwarding.outages,
            delivery=self._events.delivery,
            media=forwarding.media,
            home_flows=self.home_flows,
            access=self.access,
            client_transactions=self.relay.client_transactions,
            siblings=peers.siblings,
        )

    def _core(self, login_waits: LoginWaits) -> ProxyCore:
        setup, peers, forwarding = self._setup, self._peers, self._forwarding
        return ProxyCore(
            current=setup.current,
            state=self._state(),
            clock=setup.loop.time,
            relay=self.relay,
            responder=Responder(
                forwarding.server_transactions, peers.refusals, peers.accounts, forwarding.records, peers.peer_log
            ),
            events=self._events,
            logins=self._users.logins,
            login_waits=login_waits,
            identity=forwarding.identity,
            outside=setup.outside,
        )

    def _link_lifecycle(self) -> LinkLifecycle:
        return LinkLifecycle(
            gatekeeper=self._peers.gatekeeper,
            flow_table=self._peers.flow_table,
            removal=self.removal,
            home_flows=self.home_flows,
            accounts=self._peers.accounts,
            counters=self._peers.counters,
            liveness=self._forwarding.liveness,
            outages=self._forwarding.outages,
            outside=self._setup.outside,
            siblings=self._peers.siblings,
            log=self._peers.peer_log,
        )

    def _dispatch(self) -> Dispatch:
        setup, peers = self._setup, self._peers
        return Dispatch(
            flow_table=peers.flow_table,
            links=self._link_lifecycle(),
            core=self.core,
            relay=self.relay,
            events=self._events,
            refresh_gate=RefreshGate(setup.current, self.core.state),
            outside=setup.outside,
            siblings=peers.siblings,
            log=peers.peer_log,
        )

    def reception(self, workers: Siblings) -> Reception:
        """Build what receives from the other processes of this server."""
        setup, peers, forwarding, users = self._setup, self._peers, self._forwarding, self._users
        remote_events = RemoteEvents(
            flow_table=peers.flow_table,
            home_flows=self.home_flows,
            accounts=peers.accounts,
            removal=self.removal,
            outside=setup.outside,
        )
        return Reception(
            workers,
            peers.reactor,
            self.dispatch,
            remote_events,
            peers.accounts,
            users.takeovers,
            forwarding.calls,
            forwarding.registrations,
            users.failures,
            setup.outside,
            setup.loop.time,
            setup.log,
        )
