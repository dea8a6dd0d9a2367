"""One running server of the topology: its parts are built, started, reloaded and drained here."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import OperatorError
from sipmesh.pki.file_error import make_folder
from sipmesh.routing.authentication.backoff import FailureLimits, LoginBackoff
from sipmesh.routing.identity.dialog_token import Tokens
from sipmesh.routing.proxy.branch import Branches
from sipmesh.routing.proxy.forwarding import WS, ListenerAddress
from sipmesh.routing.registrar.gruu import Gruus
from sipmesh.routing.registrar.registrar import RegistrarLimits
from sipmesh.server.certificates.expiring_files import anchors_of, lists_of
from sipmesh.server.certificates.own_certificates import OwnCertificates
from sipmesh.server.control_socket import STATE
from sipmesh.server.process.memory_return import MemoryReturn, trim_heap
from sipmesh.server.proxy.access.access_proxy import AccessProxy
from sipmesh.server.proxy.access.end_of_flow import EndOfFlow
from sipmesh.server.proxy.access.home_flows import HomeFlows
from sipmesh.server.proxy.call_table import CallTable
from sipmesh.server.proxy.calls.call_release import CallRelease
from sipmesh.server.proxy.calls.identity_service import IdentityService
from sipmesh.server.proxy.calls.media_guard import MediaGuard
from sipmesh.server.proxy.counters import Counters
from sipmesh.server.proxy.dispatch import Dispatch
from sipmesh.server.proxy.events.event_server import EventServer, message_limits
from sipmesh.server.proxy.events.message_delivery import MessageDelivery
from sipmesh.server.proxy.events.message_storing import MessageStoring
from sipmesh.server.proxy.events.notifier import EventNotifier
from sipmesh.server.proxy.events.own_requests import OwnRequests
from sipmesh.server.proxy.events.publications import Publications
from sipmesh.server.proxy.events.turn_credentials import TurnCredentials
from sipmesh.server.proxy.executor import Executor
from sipmesh.server.proxy.flow_table import FlowTable
from sipmesh.server.proxy.gatekeeper import Gatekeeper
from sipmesh.server.proxy.liveness.keepalives import Liveness
from sipmesh.server.proxy.liveness.outages import Outages
from sipmesh.server.proxy.liveness.takeovers import Takeovers
from sipmesh.server.proxy.login.digest_auth import DigestAuth
from sipmesh.server.proxy.login.home_pools import HomePools
from sipmesh.server.proxy.login.login_waits import LoginWaits
from sipmesh.server.proxy.login.moved_logins import MovedLogins
from sipmesh.server.proxy.login.user_stores import open_locations, open_messages, open_users
from sipmesh.server.proxy.message_refusals import MessageRefusals
from sipmesh.server.proxy.registrar.registrations import Registrations
from sipmesh.server.proxy.relay import Relay
from sipmesh.server.proxy.roles import border_of, carriers_of, decide_for, media_rules, names_of
from sipmesh.server.proxy.siblings.siblings import Siblings
from sipmesh.server.proxy.transactions.ack_forwarder import AckForwarder
from sipmesh.server.proxy.transactions.branch_requests import BranchRequests
from sipmesh.server.proxy.transactions.client_transactions import ClientTransactions
from sipmesh.server.proxy.transactions.privacy_service import PrivacyService
from sipmesh.server.proxy.transactions.server_transactions import ServerTransactions
from sipmesh.server.quotas.known_addresses import KnownAddresses
from sipmesh.server.quotas.limited_log import LimitedLog
from sipmesh.server.quotas.overload_report import OverloadReport
from sipmesh.server.quotas.principals import Principals
from sipmesh.server.quotas.shortage_report import ShortageReport
from sipmesh.server.running.listening import Listening
from sipmesh.server.running.prepared_version import PreparedVersion, prepare
from sipmesh.server.running.revocation_updates import RevocationUpdates
from sipmesh.server.running.user_updates import UserUpdates
from sipmesh.server.running.worker_place import ALONE, WorkerPlace
from sipmesh.server.web_phone.files import web_phone
from sipmesh.sip.digest import Nonces
from sipmesh.storage.keyfile import load_or_create
from sipmesh.topology.document.load import load
from sipmesh.topology.expiry.inventory import Use
from sipmesh.topology.view import ServerView
from sipmesh.topology.view import view as view_of
from sipmesh.transport.accept.listener import Listener
from sipmesh.transport.connector import Connector
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.link import Link
from sipmesh.transport.pool import LinkPool
from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.transport.resolver import DnsResolver
from sipmesh.transport.websocket.link import WebSocketLink
from sipmesh.transport.websocket.pages import NO_PAGES
from sipmesh.transport.websocket.upgrade import UpgradePolicy
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Sequence

    from sipmesh.routing.identity.border import Border
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.control_plane import ControlPlane, ManagedControlPlane
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.storage.location_service.locations import Locations
    from sipmesh.storage.users.user_document import UserDocument
    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.watching import Watching
    from sipmesh.topology.expiry.fetch_status import FetchStatus
    from sipmesh.transport.tls.contexts import AcceptingContext
    from sipmesh.trust.x509.certificate import CertificateId

NONCE_LIFETIME_S = 300.0
TOKEN_BYTES = 12
NONCE_KEY_BYTES = 32  # only for this start: a nonce is not valid on another server, or after a restart


class RevocationSources(Protocol):
    """What fetches the CRLs and OCSP responses that a topology names by URL."""

    def follow(self, loaded: Loaded) -> None:
        """Fetch the sources of *loaded*, which is about to be in force, and no others."""

    def supplies(self, at: datetime) -> tuple[FetchStatus, ...]:
        """Return the state of every source at time *at*."""


class Ports(Protocol):
    """The listening sockets of a server of several processes."""

    def socket_for(self, spec: ListenerSpec) -> socket.socket:
        """Return the socket of this process that listens as *spec* says; raises `OperatorError` if there is none."""


class Follower(Protocol):
    """Who puts the same in force at the other processes of this server."""

    @property
    def is_settled(self) -> bool:
        """Whether every other process has in force what this one has."""

    def version_changed(self) -> None:
        """Another version of the topology is in force, with its certificates."""

    def crls_changed(self, files: Collection[Path]) -> None:
        """CRLs in *files* are in force."""

    def revoked(self, named: Collection[CertificateId]) -> None:
        """Certificates are refused from now on."""

    def users_changed(self, document: UserDocument) -> None:
        """A document of users is in force."""


class RunningServer:
    """A running server. *file* is the topology, *name* the server in it; *loaded* replaces the content of *file*.

    *locations* is the store of the pool's bindings, if it is not the file that the topology names. *place* says which process of
    the server this is.
    """

    def __init__(
        self,
        file: Path,
        name: str,
        log: Log,
        limits: Limits | None = None,
        *,
        loaded: Loaded | None = None,
        locations: Locations | None = None,
        place: WorkerPlace = ALONE,
    ) -> None:
        loaded = loaded or load(file)
        self.place = place.begun()
        if place.start:
            Link.number_from(place.first_link)
        self.file, self.log = file, log
        self.view: ServerView = view_of(loaded, name)
        self.state = loaded.folder / STATE
        make_folder(self.state)
        self.limits = place.share(limits or Limits())
        self.loop = asyncio.get_running_loop()
        self.started_at = time.time()
        self.control_plane: ControlPlane | None = None
        self.is_managed = False
        self.ports: Ports | None = None
        self._follower: Follower | None = None
        self._sources: RevocationSources | None = None
        self._keep(locations)
        try:
            self._wire()
        except BaseException:
            self.locations.close()
            self.users.close()
            raise

    def __repr__(self) -> str:
        return f"<RunningServer {self.view.name} {self.view.role}, {self.dispatch!r}>"

    def attach(self, control_plane: ControlPlane) -> None:
        """Hand links, requests about the network, and new CRLs to *control_plane* from now on; before `start`."""
        self.control_plane = control_plane
        self.dispatch.attach(control_plane)
        self.revocation.attach(control_plane)

    def attach_managed(self, control_plane: ManagedControlPlane) -> None:
        """Attach the control plane of a managed server, whose next version comes from management; before `start`."""
        self.attach(control_plane)
        self.is_managed = True
        self.certificates.attach(control_plane)

    def follow_by(self, follower: Follower) -> None:
        """Have *follower* put in force at other processes what comes into force here; before `start`."""
        self._follower = self.revocation.follower = self.user_updates.follower = follower

    @property
    def is_settled(self) -> bool:
        """Whether everything that is in force here is so at all processes of this server."""
        return self._follower is None or self._follower.is_settled

    def fetch_by(self, sources: RevocationSources) -> None:
        """Let *sources* fetch what the topology names, now and before each new version comes into force."""
        self._sources = sources
        sources.follow(self.view.loaded)

    def _keep(self, locations: Locations | None) -> None:
        """Open what outlives a restart: the keys of our tokens, and the users and bindings if our role has them.

        Servers of a pool that share a folder share the key of dialog tokens, so that a call can continue through another server.
        """
        incarnation = self.place.incarnation
        key, pool_key = (load_or_create(self.state / name) for name in key_files(self.view))
        self.tokens = Tokens(key, incarnation, pool_key)
        self.gruus = Gruus(pool_key, self.view.pool.name)
        self.users = open_users(self.view)
        self.message_queue = open_messages(self.view, self.loop.call_soon_threadsafe)
        try:
            post = self.loop.call_soon_threadsafe
            self.locations = locations or open_locations(self.view, post, pool_key, self.place.count)
        except BaseException:
            self.users.close()
            raise

    def _wire(self) -> None:
        """Build the parts, from the judge to the pool of links; nothing listens yet."""
        view, tokens = self.view, self.tokens
        advertised, border = advertised_by(view), border_of(view)
        branches = Branches(self.place.branches, frozenset(listener.sent_by for listener in advertised.values()))
        self._wire_judge(view)
        self.homes = HomePools(self.users, view)
        self.flow_table.name_by(self.homes.owner_of)
        self.registrations = Registrations(
            self.place.name_of(view.name),
            self.place.lease,
            tokens,
            self.locations,
            RegistrarLimits(),
            self.loop.time,
            self.log,
            self.peer_log,
            self.gruus,
            advertised[LinkKind.CLIENT].sent_by if LinkKind.CLIENT in advertised else "",
            self._registered,
        )
        self.outages = Outages(self.loop, self.flow_table, self.limits, self.peer_log)
        self.liveness = Liveness(self.loop, self.limits, self.outages)
        self.refusals = MessageRefusals(view.name, self.peer_log, self.counters)
        self.identity = IdentityService(
            self.gatekeeper, lambda: self.certificates.presented.of(LinkKind.SERVER), self.peer_log
        )
        self.media = MediaGuard(view.name, media_rules(view, self.homes.owner_of), self.refusals)
        self.relay = self._relay(branches, advertised, border)
        self.logins = self._logins()
        self.user_updates = UserUpdates(self.users, self.logins, self._users_changed, self.log)
        self.takeovers = Takeovers(self.loop, self.outages, self.flow_table, self._taken_over, self.log)
        self.takeovers.apply_view(view)
        self._wire_events(branches, advertised, border)
        self._wire_dispatch(branches, advertised, border)
        self._wire_links()
        self.branch_prefix = branches.prefix
        self.siblings: Siblings | None = None if self.place.is_alone else self._siblings()

    def _wire_judge(self, view: ServerView) -> None:
        """Build what knows links and their peers: reactor, gatekeeper, accounts, log of peers."""
        self.reactor = Reactor(self.loop, self.limits)
        self.reports = (
            OverloadReport(self.reactor.overload, self.log),
            ShortageReport(self.reactor.shortage, self.log),
        )
        self.memory_return = MemoryReturn(lambda: self.loop.run_in_executor(None, trim_heap))
        self.gatekeeper = Gatekeeper(view)
        self.flow_table = FlowTable(view, self.tokens.incarnation)
        self.neighbours = KnownAddresses(view)
        self.certificates = OwnCertificates(view, self.loop, self.gatekeeper, self.log)
        self.accounts, self.counters = (
            Principals(self.limits, self.neighbours, self._partner_of, self.loop.time),
            Counters(),
        )
        self.peer_log = LimitedLog(
            self.log,
            self.loop.time,
            each=self.limits.log_lines_per_principal,
            total=self.limits.log_lines_in_all,
            window_s=self.limits.log_window_s,
        )

    def _relay(self, branches: Branches, advertised: dict[str, ListenerAddress], border: Border) -> Relay:
        clock, calls, privacy = self.loop.time, CallTable(self.limits.calls_named), PrivacyService(self.tokens)
        requests = BranchRequests(self.flow_table, self.tokens, branches, advertised, border, privacy)
        self.acks = AckForwarder(self.flow_table, requests, self.outages, calls)
        self.release = CallRelease(requests, self.acks, calls)
        return Relay(
            clock,
            self.flow_table,
            self.registrations.forget,
            requests,
            privacy,
            ServerTransactions(clock, advertised),
            ClientTransactions(clock),
            self.outages,
            calls,
            self.media,
            self.release,
        )

    def _wire_events(self, branches: Branches, advertised: dict[str, ListenerAddress], border: Border) -> None:
        """Build the parts that store messages for users, and deliver them."""
        clock, queue = self.loop.time, self.message_queue
        own_requests = OwnRequests(self.view.name, clock, self.flow_table, branches, advertised, border)
        process = self.place.name_of(self.view.name)
        delivery = MessageDelivery(process, queue, self.registrations, own_requests, clock, self.peer_log)
        storing = MessageStoring(queue, message_limits(self.view), clock, lambda: datetime.now(UTC), self._partner_of)
        turn = TurnCredentials(
            self.view, time.time, lambda why: self.peer_log.error("turn", "no secret for TURN", why=why)
        )
        notifier = EventNotifier(
            self.flow_table,
            own_requests,
            self.registrations,
            Publications(clock, _token),
            advertised,
            self._watching,
            self._partner_of,
            turn.profile,
            self._is_ours,
            self._may_exist,
            _token,
            clock,
        )
        self.events = EventServer(
            queue, own_requests, storing, delivery, notifier, self.outages, turn, self.view, self.homes, clock, self.log
        )

    def _users_changed(self, aors: frozenset[str]) -> None:
        """Check who may watch *aors*; the events are wired after the users."""
        self.events.notifier.rules_changed(aors)

    def _registered(self, aor: str) -> None:
        """Deliver what waits for a user who has registered; the events are wired after the registrations."""
        self.events.registered(aor)

    def _watching(self, aor: str, watcher: str) -> Watching:
        """Return what *watcher* may see of the presence of *aor*: by a rule of *aor*, or by the default of the topology."""
        rule = self.homes.watcher_rule(aor, watcher)
        if rule is not None:
            return rule
        presence = self.view.loaded.topology.presence
        is_inside = watcher.rpartition("@")[2] in self.view.sip_domains
        return presence.inside if is_inside else presence.partners

    def _is_ours(self, aor: str) -> bool:
        """Return whether *aor* may be at home in our pool."""
        return not self.homes.knows(aor) or self.homes.of(aor) == self.view.pool.name

    def _may_exist(self, aor: str) -> bool:
        """Return whether *aor* may be an address of somebody: of a user of ours, or in a domain that a peer may assert."""
        domain = aor.rpartition("@")[2]
        if domain in self.view.sip_domains:
            return not self.homes.knows(aor) or self.homes.of(aor) is not None
        if domain in self.view.blocked:
            return False
        return bool(self._partner_of(domain)) or any(domain in peer.asserts for peer in self.view.trusted.values())

    def _carried_flow_ended(self, flow: Flow) -> None:
        """Remove a carried flow; the dispatch is wired after what knows the flows."""
        self.dispatch.flow_ended(flow)

    def _wire_access(self, advertised: dict[str, ListenerAddress]) -> None:
        """Build both ends of the way of users who log in at another pool than their own."""
        end_of_flow = EndOfFlow(self.view.name, self.events.own_requests, _token, self.peer_log)
        self.home_flows = HomeFlows(
            self.reactor,
            self.flow_table,
            self.tokens,
            os.urandom(NONCE_KEY_BYTES),
            end_of_flow,
            self._carried_flow_ended,
            carriers_of(self.view),
        )
        self.relay.access = self.access = AccessProxy(
            self.view,
            self.tokens,
            self.flow_table,
            self.logins,
            self.accounts,
            self.relay,
            end_of_flow,
            advertised[LinkKind.SERVER],
            self.outages,
        )

    def _wire_dispatch(self, branches: Branches, advertised: dict[str, ListenerAddress], border: Border) -> None:
        """Build the parts that decide about messages and carry out decisions."""
        view = self.view
        self.executor = Executor(
            view=view,
            border=border,
            relay=self.relay,
            acks=self.acks,
            release=self.release,
            flow_table=self.flow_table,
            registrations=self.registrations,
            events=self.events,
            homes=self.homes,
            refusals=self.refusals,
            accounts=self.accounts,
            log=self.peer_log,
            media=self.media,
            identity=self.identity,
        )
        self._wire_access(advertised)
        self.dispatch = Dispatch(
            home_flows=self.home_flows,
            access=self.access,
            names=names_of(view),
            decide=decide_for(view, self.tokens.incarnation, self.gruus, self.homes.known_home),
            gatekeeper=self.gatekeeper,
            flow_table=self.flow_table,
            relay=self.relay,
            registrations=self.registrations,
            executor=self.executor,
            events=self.events,
            logins=self.logins,
            login_waits=LoginWaits(self.loop, self.failures, self.accounts),
            tokens=self.tokens,
            branches=branches,
            log=self.peer_log,
            accounts=self.accounts,
            counters=self.counters,
            liveness=self.liveness,
            outages=self.outages,
            overload=self.reactor.overload,
        )

    def _wire_links(self) -> None:
        """Build the parts that open, accept and close links."""
        self.resolver = DnsResolver(*self.view.dns_servers)
        self.connector = Connector(self.reactor, self.dispatch, self.certificates.opening_context, self.resolver)
        self.trials = self._trial_connector()
        self.outages.open_by(self.trials.dial)
        self.pool = LinkPool(self.reactor, self.connector)
        self.certificates.open_by(self.connector.dial, self.pool)
        self.flow_table.open_by(self.pool.obtain)
        self.listening = Listening(self._listener, self.certificates.accepting_context, self.log)
        relying = self.reactor.links.relying
        self.revocation = RevocationUpdates(
            self.gatekeeper, self.connector, self.pool, relying, self.dispatch.judge_again
        )

    def _trial_connector(self) -> Connector:
        """What dials a server that does not answer: no attempt is refused for the failure before it."""
        limits = replace(self.limits, dial_s=self.limits.server_dial_s, redial_s=0.0)
        context = self.certificates.opening_context
        return Connector(self.reactor, self.dispatch, context, self.resolver, limits=limits)

    def _logins(self) -> DigestAuth:
        nonces = Nonces(os.urandom(NONCE_KEY_BYTES), NONCE_LIFETIME_S)
        self.failures = LoginBackoff(self.place.share_of_waits(FailureLimits()))
        logins = DigestAuth(
            self.loop,
            self.homes,
            nonces,
            self.tokens,
            self.failures,
            self.flow_table,
            self.accounts,
            self.peer_log,
            MovedLogins(self.loop, self.limits, self.relay),
        )
        logins.withdraw = self.registrations.withdraw
        return logins

    def _taken_over(self, pools: frozenset[str]) -> None:
        """Serve the users of these pools in place of their own servers, and give back the users of all others."""
        self.homes.take_over(pools)
        self.logins.close_changed()

    def _siblings(self) -> Siblings:
        """Build what knows the other processes of this server."""
        siblings = Siblings(self.place.number, self.reactor, self.flow_table, self.view, self.log)
        siblings.login_failed, self.logins.failed_here = self.logins.failed_at_other_process, siblings.failed
        self.accounts.observer, self.accounts.on_login = siblings, siblings.logged_in
        self.dispatch.attach_siblings(siblings)
        return siblings

    def _partner_of(self, domain: str) -> str:
        """Return the name of the partner that *domain* belongs to; "" for our own and for unknown domains."""
        partner = self.view.partner_for(domain)
        return partner.peer.name if partner is not None else ""

    def _listener(self, spec: ListenerSpec, context: AcceptingContext) -> Listener:
        sock = self.ports.socket_for(spec) if self.ports is not None else None
        listener = Listener(self.reactor, spec, context, self.dispatch, sock=sock, accepts=not self.place.is_supervisor)
        listener.make_room, listener.is_reserved = self.accounts.make_room, self.neighbours.has
        if spec.kind is LinkKind.CLIENT:
            listener.has_room = self.accounts.has_room
        if spec.is_websocket:
            listener.new_link = lambda: WebSocketLink(self.reactor, self.dispatch, self._upgrade_policy)
        return listener

    def _upgrade_policy(self) -> UpgradePolicy:
        return upgrade_policy(self.view, self.certificates.for_clients.names)

    def tick(self) -> None:
        """Sweep what has a deadline, and tell the operator of overload; called about twice a second."""
        self.dispatch.tick()
        now = self.loop.time()
        for report in self.reports:
            report.tick(now)
        self.memory_return.tick(len(self.reactor.links))

    def start(self, specs: Sequence[ListenerSpec] | None = None) -> None:
        """Listen, or only as *specs* say; raises `OperatorError` if a certificate, a key or a port cannot be used."""
        self.certificates.load()
        self.listening.start(self.view.listeners if specs is None else specs, is_managed=self.is_managed)
        self.registrations.begin()  # the ports are ours, so no other process serves under this name
        if self.view.role is Role.FRONT_END:
            self.events.begin()
            if not self.place.is_supervisor:  # it has no phones
                self.takeovers.start()

    def prepare(self, loaded: Loaded) -> PreparedVersion:
        """Compute what `put_prepared` needs; a thread may do so. Raises `OperatorError` if this server is not in *loaded*."""
        return prepare(loaded, self.view.name, self.tokens.incarnation, self.gruus, self.homes.known_home)

    def put_in_force(self, loaded: Loaded) -> list[str]:
        """Put a topology in force, as `put_prepared` does, with everything that has to be computed for it."""
        return self.put_prepared(self.prepare(loaded))

    def put_prepared(self, version: PreparedVersion) -> list[str]:
        """Put a topology in force: judge every live link again, and close those that are refused now; returns their ids.

        A new certificate of ours is used if our peers would accept it; otherwise the old one stays in use. Raises
        `OperatorError`, and changes nothing, if this server is not in the topology, or has another role in it.
        """
        view = version.view
        if view.role is not self.view.role:
            raise OperatorError(f"{view.name} would become an {view.role}: restart this server in its new role")
        if (view.listeners, view.metrics) != (self.view.listeners, self.view.metrics):
            self.log.warning("published addresses or ports differ: restart this server to use them")
        if view.workers != self.view.workers:
            self.log.warning("the published number of workers differs: restart this server to use it")
        self.resolver.change(*view.dns_servers)
        if self._sources is not None:
            self._sources.follow(view.loaded)
        self.certificates.apply_view(view)
        self.view = view
        self.listening.change(view.listeners)
        self.gatekeeper.apply_view(view)
        self.flow_table.apply_view(view)
        if self.siblings is not None:
            self.siblings.apply_view(view)
        self.neighbours.apply(version.addresses)
        self.homes.apply_view(view)
        self.takeovers.apply_view(view)
        self.access.apply_view(view)
        self.home_flows.apply(carriers_of(view))
        self.executor.apply_view(view, version.border)
        self.media.rules = media_rules(view, self.homes.owner_of)
        self.identity.apply_view(view)
        self.events.apply_view(view, version.border)
        self.dispatch.route_by(version.names, version.decide)
        self.connector.forget_failures()
        closed = self.pool.rejudge(self.dispatch.judge_again)
        self.flow_table.judged_anew()
        if self._follower is not None:
            self._follower.version_changed()
        return [link.id for link in closed] + self.logins.close_changed()

    def use(self) -> Use:
        """Return what this server uses and what expires, for the inventory."""
        loaded, at = self.view.loaded, self.gatekeeper.clock()
        return Use(
            server=self.view.name,
            pid=os.getpid(),
            shown=self.certificates.chains(),
            for_clients=self.certificates.for_clients.chains,
            anchors=tuple(anchors_of(loaded)),
            lists=tuple(lists_of(loaded)),
            supplies=self.supplies(at),
        )

    def supplies(self, at: datetime) -> tuple[FetchStatus, ...]:
        """Return the state of every source of CRLs and OCSP responses at time *at*."""
        return self._sources.supplies(at) if self._sources is not None else ()

    async def drain(self) -> None:
        """Stop accepting, write the queued messages, and close everything."""
        self.listening.close()
        self.outages.close()
        self.takeovers.close()
        self.logins.moved.close()
        await self.pool.drain()
        await self.connector.close()
        await self.trials.close()
        if self.siblings is not None:
            self.siblings.close()
        self.liveness.close()
        self.reactor.close()
        self.events.close()
        self.peer_log.close()
        self.locations.close()
        self.users.close()


def _token() -> str:
    """Return an unpredictable text for tags and entity tags."""
    return os.urandom(TOKEN_BYTES).hex()


def key_files(view: ServerView) -> tuple[str, str]:
    """Return the key files of tokens: for the flows of this server, and for the dialogs of its pool."""
    return f"{view.name}.token-key", f"{view.pool.name}.dialog-key"


def advertised_by(view: ServerView) -> dict[str, ListenerAddress]:
    """Return the name and port in our Via and Record-Route, for each of our ports by its key in the topology."""
    return {
        spec.key: ListenerAddress(spec.name, spec.port, WS if spec.is_websocket else "tls") for spec in view.listeners
    }


def upgrade_policy(view: ServerView, names: frozenset[str]) -> UpgradePolicy:
    """Return who may open a WebSocket here, and which pages there are; *names* are those in its certificates for clients."""
    pages = web_phone() if view.has_web_phone else NO_PAGES
    return UpgradePolicy(names.union(view.names), view.web_origins, pages)
