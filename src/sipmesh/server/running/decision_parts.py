"""The parts of one server that decide about messages and carry out decisions: dispatch, executor, the way to home pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.proxy.access.access_proxy import AccessProxy
from sipmesh.server.proxy.access.end_of_flow import EndOfFlow
from sipmesh.server.proxy.access.home_flows import HomeFlows
from sipmesh.server.proxy.access.request_logins import RequestLogins
from sipmesh.server.proxy.dispatch import Dispatch
from sipmesh.server.proxy.execution.executor import Executor
from sipmesh.server.proxy.execution.phone_events import PhoneEvents
from sipmesh.server.proxy.execution.responder import Responder
from sipmesh.server.proxy.execution.user_targets import UserTargets
from sipmesh.server.proxy.links.flow_removal import FlowRemoval
from sipmesh.server.proxy.links.link_lifecycle import LinkLifecycle
from sipmesh.server.proxy.links.reception import Reception
from sipmesh.server.proxy.links.remote_events import RemoteEvents
from sipmesh.server.proxy.login.login_waits import LoginWaits
from sipmesh.server.quotas.overload_admission import OverloadAdmission
from sipmesh.server.running.server_setup import new_nonce_key, new_token
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.siblings.siblings import Siblings
    from sipmesh.server.running.forwarding_parts import ForwardingParts
    from sipmesh.server.running.peer_parts import PeerParts
    from sipmesh.server.running.server_setup import ServerSetup
    from sipmesh.server.running.user_parts import UserParts


class DecisionParts:
    """What every message meets: *dispatch* asks the role of the server, *executor* carries out what it has decided."""

    def __init__(
        self, setup: ServerSetup, peers: PeerParts, forwarding: ForwardingParts, users: UserParts, events: EventServer
    ) -> None:
        self._setup, self._peers, self._forwarding, self._users, self._events = setup, peers, forwarding, users, events
        self._responder = Responder(forwarding.server_transactions, peers.refusals, peers.accounts, peers.peer_log)
        end_of_flow = EndOfFlow(setup.view.name, events.own_requests, new_token, peers.peer_log)
        self.home_flows = HomeFlows(
            peers.reactor,
            peers.flow_table,
            setup.stores.tokens,
            new_nonce_key(),
            end_of_flow,
            self._carried_flow_ended,
            setup.current,
        )
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
        self.executor = self._executor()
        login_waits = LoginWaits(setup.loop, users.failures, peers.accounts)
        self.removal = FlowRemoval(
            flow_table=peers.flow_table,
            logins=users.logins,
            login_waits=login_waits,
            access=self.access,
            home_flows=self.home_flows,
            accounts=peers.accounts,
            registrations=forwarding.registrations,
            relay=self.relay,
            events=events,
            siblings=peers.siblings,
        )
        self.dispatch = self._dispatch(login_waits)

    def __repr__(self) -> str:
        return f"<DecisionParts {self.dispatch!r}>"

    def _carried_flow_ended(self, flow: Flow) -> None:
        """Remove a carried flow; the removal is built after what knows the flows."""
        self.removal.flow_ended(flow)

    def _executor(self) -> Executor:
        setup, peers, forwarding, events = self._setup, self._peers, self._forwarding, self._events
        phone_events = PhoneEvents(peers.flow_table, events, peers.siblings)
        return Executor(
            current=setup.current,
            relay=self.relay,
            acks=forwarding.acks,
            release=forwarding.release,
            registrations=forwarding.registrations,
            events=events,
            targets=UserTargets(setup.current, forwarding.registrations, events, phone_events),
            phone_events=phone_events,
            responder=self._responder,
            accounts=peers.accounts,
            log=peers.peer_log,
            media=forwarding.media,
            identity=forwarding.identity,
            siblings=peers.siblings,
        )

    def _link_lifecycle(self) -> LinkLifecycle:
        return LinkLifecycle(
            gatekeeper=self._peers.gatekeeper,
            flow_table=self._peers.flow_table,
            removal=self.removal,
            accounts=self._peers.accounts,
            counters=self._peers.counters,
            liveness=self._forwarding.liveness,
            outages=self._forwarding.outages,
            outside=self._setup.outside,
            siblings=self._peers.siblings,
            log=self._peers.peer_log,
        )

    def _dispatch(self, login_waits: LoginWaits) -> Dispatch:
        setup, peers, forwarding = self._setup, self._peers, self._forwarding
        tokens, overload = setup.stores.tokens, peers.reactor.overload
        return Dispatch(
            current=setup.current,
            flow_table=peers.flow_table,
            links=self._link_lifecycle(),
            request_logins=RequestLogins(
                current=setup.current,
                logins=self._users.logins,
                login_waits=login_waits,
                access=self.access,
                executor=self.executor,
                responder=self._responder,
            ),
            admission=OverloadAdmission(overload, tokens),
            relay=self.relay,
            registrations=forwarding.registrations,
            executor=self.executor,
            responder=self._responder,
            events=self._events,
            tokens=tokens,
            branches=setup.branches,
            log=peers.peer_log,
            accounts=peers.accounts,
            overload=overload,
            home_flows=self.home_flows,
            access=self.access,
            outside=setup.outside,
            siblings=peers.siblings,
            call_soon=setup.loop.call_soon,
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
