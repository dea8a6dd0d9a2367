"""Handles all events of a server's links: judge, check, decide, and pass the decision on to be carried out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipmesh.distribution.event import names_package
from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.routing.authentication.backoff import network_of
from sipmesh.routing.authentication.digest import Proved
from sipmesh.routing.early_refusal import CLIENT_METHODS
from sipmesh.routing.identity.privacy import OPTION
from sipmesh.routing.identity.route_set import Names, RouteSet, has_dialog_token, service_route, take_place
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import Answer, Outcome, Prove, try_later
from sipmesh.routing.proxy.branch import loop_hash
from sipmesh.routing.proxy.breadth import EXCEEDED, breadth_of
from sipmesh.routing.proxy.received import mark_received
from sipmesh.server.proxy.access.end_of_flow import is_end
from sipmesh.server.proxy.executor import DRAINING, NO_USERS_YET, NOT_TAKEN_OVER
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.liveness.outages import UNREACHED
from sipmesh.server.proxy.login.login_waits import PendingLogin
from sipmesh.server.proxy.registrar.repeated_refresh import RefreshGate
from sipmesh.server.proxy.siblings.remote_link import NOT_HERE, RemoteLink
from sipmesh.sip.check import check_request, check_response, unsupported
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.rows import EVENT, MAX_BREADTH, PROXY_REQUIRE
from sipmesh.sip.transaction.ack import reasons_of
from sipmesh.sip.transaction.key import cancelled_key, server_key
from sipmesh.transport.link.events import LinkEvents
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.judgement.explain import headline

if TYPE_CHECKING:
    from sipmesh.routing.identity.dialog_token import Tokens
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.overload import OverloadControl
    from sipmesh.routing.proxy.branch import Branches
    from sipmesh.server.proxy.access.access_proxy import AccessProxy
    from sipmesh.server.proxy.access.home_flows import HomeFlows
    from sipmesh.server.proxy.control_plane import ControlPlane
    from sipmesh.server.proxy.counters import Counters
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.executor import Executor
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.gatekeeper import Gatekeeper
    from sipmesh.server.proxy.liveness.keepalives import Liveness
    from sipmesh.server.proxy.liveness.outages import Outages
    from sipmesh.server.proxy.login.digest_auth import DigestAuth
    from sipmesh.server.proxy.login.login_waits import LoginWaits
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.proxy.relay import Relay
    from sipmesh.server.proxy.siblings.siblings import Siblings
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.sip.framing import FramingError
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.verdict import Verdict

Decide = Callable[[Request, RouteSet, "Sender"], Outcome]

TOO_MANY_LOGINS: Final = try_later("too many logins of this user, or from this address, wait")

POSTED: Final = frozenset({"SUBSCRIBE", "NOTIFY", "PUBLISH"})
"""The methods of our own event package; other event packages use them too."""

OF_SERVERS: Final = POSTED | {"OPTIONS"}
"""What servers of ours ask one another: never refused because of overload."""

MOST_LAST_OF_USER: Final = 5
"""Requests inside dialogs, or REGISTER, of one user in a step of overload control (0.1 s): more are refused as new ones."""

MOST_LAST_OF_PARTNER: Final = 100
"""The same for a partner, with all its users."""

UNDERSTOOD: Final = (OPTION,)
"""The option tags that a request may require of proxies (RFC 3261 16.3)."""

OVERLOADED: Final = try_later("too many requests at once")

NOT_ITS_PACKAGE: Final = "an event package for servers of this network, and its sender is not such a server"


class Dispatch(LinkEvents):
    """Receives the events of all links of one server; messages are decided about only here."""

    def __init__(
        self,
        *,
        names: Names,
        decide: Decide,
        gatekeeper: Gatekeeper,
        flow_table: FlowTable,
        relay: Relay,
        registrations: Registrations,
        executor: Executor,
        events: EventServer,
        logins: DigestAuth,
        login_waits: LoginWaits,
        tokens: Tokens,
        branches: Branches,
        log: LimitedLog,
        accounts: Principals,
        counters: Counters,
        liveness: Liveness,
        outages: Outages,
        overload: OverloadControl,
        home_flows: HomeFlows,
        access: AccessProxy,
        max_exchanges: int = 50_000,
    ) -> None:
        self.names, self.decide = names, decide
        self._gatekeeper, self._flow_table, self._relay = gatekeeper, flow_table, relay
        self._registrations, self._executor, self._events = registrations, executor, events
        self._logins, self._login_waits = logins, login_waits
        self._tokens, self._branches, self._log = tokens, branches, log
        self.accounts, self._max_exchanges = accounts, max_exchanges
        self._counters = counters
        self._liveness, self._outages = liveness, outages
        self.is_draining = False
        self._overload = overload
        self._refresh_gate = RefreshGate(registrations, overload, relay, max_exchanges)
        self._control_plane: ControlPlane | None = None
        self.home_flows, self.access = home_flows, access
        self._siblings: Siblings | None = None

    def __repr__(self) -> str:
        return f"<Dispatch {self._relay!r}, {self._executor!r}>"

    def attach(self, control_plane: ControlPlane) -> None:
        """Pass links and messages about the network itself to *control_plane* from now on."""
        self._control_plane = control_plane

    def attach_siblings(self, siblings: Siblings) -> None:
        """Announce links to the other processes of this server from now on, and use theirs."""
        self._siblings = self._executor.siblings = siblings
        siblings.attach(self, self, self.accounts)

    def route_by(self, names: Names, decide: Decide) -> None:
        """Route by *names* and *decide*, of another topology, from now on."""
        self.names, self.decide = names, decide
        self._refresh_gate.epoch += 1

    def drain(self) -> None:
        """Refuse each request outside dialogs from now on, those among them that wait for their login."""
        self.is_draining = self._refresh_gate.is_draining = True
        self._login_waits.give_up()
        self._events.drain()

    # Links

    def judge(self, link: Link, evidence: PeerEvidence) -> Verdict:
        """Return the verdict on the peer of *link*."""
        return self._gatekeeper.judge(evidence, link.meant)

    def judge_again(self, link: Link, evidence: PeerEvidence) -> Verdict:
        """Return a new verdict on the peer of a *link* that is up; an expired CRL does not end such a link."""
        return self._gatekeeper.judge(evidence, link.meant, live=True)

    def link_up(self, link: Link) -> None:
        """Start the session of an accepted link."""
        flow = self._flow_table.flow(link)
        flow.came_up()
        self.accounts.came_up(flow)
        self._liveness.link_up(link)
        if link.verdict is not None:
            self._counters.judged(link.verdict)
        if self._siblings is not None:
            self._siblings.link_up(link)
            if self._siblings.exceeds(link):
                link.close("too many links from this peer")
                return
        if self._control_plane is not None and link.kind is LinkKind.SERVER:
            self._control_plane.link_up(link)
        if link.kind is not LinkKind.CLIENT and link.verdict is not None:
            self._log.info(link.peer_name, "link accepted", link=link.id, verdict=headline(link.verdict))

    def refused(self, verdict: Verdict) -> None:
        """Record a refusal: the log has all details, the peer gets only the TLS alert."""
        self._counters.judged(verdict)
        if verdict.code in UNREACHED and self._outages.has(verdict.meant):
            return
        self._gatekeeper.remember(verdict)
        who = network_of(verdict.remote[0]) if verdict.direction is Direction.ACCEPTED else verdict.meant
        self._log.warning(who, "link refused", code=verdict.code, verdict=headline(verdict), remedies=verdict.remedies)

    def link_down(self, link: Link, why: str, verdict: Verdict | None) -> None:
        """Remove a closed link, with its flow, its bindings and its branches."""
        self._counters.gone(link)
        self._liveness.link_down(link)
        is_told = self._outages.has(link.meant) and not link.peer.accepted
        self._outages.link_down(link, why, verdict)
        if link.kind is LinkKind.CLIENT and link.peer.accepted and not link.authenticated:
            self._gatekeeper.client_ended(link, why)
        if self._siblings is not None:
            self._siblings.link_down(link, why)
        self._forget(self._flow_table.flow(link))
        if self._control_plane is not None and link.kind is LinkKind.SERVER:
            self._control_plane.link_down(link, why)
        if not is_told and (link.kind is not LinkKind.CLIENT or link.direction is Direction.OPENED):
            code = verdict.code if verdict is not None else None
            peer = link.peer_name or link.meant
            self._log.info(peer, "link closed", link=link.id, peer=peer, why=why, code=code)

    def flow_ended(self, flow: Flow) -> None:
        """Remove a carried flow that has ended, with its bindings and its branches; the link that carries it stays."""
        flow.closed = True
        self.home_flows.flow_ended(flow)
        if self._siblings is not None:
            self._siblings.link_down(flow.link, flow.link.why)
        self._flow_table.forget(flow)
        self._login_waits.gone(flow)
        self.access.link_down(flow)
        self.accounts.gone(flow)
        self._registrations.flow_closed(flow)
        self._relay.flow_ended(flow)
        self._events.flow_ended(flow)

    def _forget(self, flow: Flow) -> None:
        """Remove the flow of a closed link, with its bindings and its branches."""
        self._flow_table.forget(flow)
        self._login_waits.gone(flow)
        self.accounts.gone(flow)
        self._registrations.flow_closed(flow)
        self._relay.link_down(flow)
        self._events.link_down(flow)
        self.home_flows.link_down(flow)
        self.access.link_down(flow)

    # Links of other processes of this server

    def remote_up(self, link: Link) -> None:
        """Know a link of another process, which has judged it, or a flow that such a link carries."""
        flow = self._flow_table.flow(link)
        if isinstance(link, RemoteLink) and link.carrier:
            by = self._flow_table.by_number(link.carrier)
            if by is None:
                self._flow_table.forget(flow)
                return
            flow.carried_by(by, link.path)
            self.home_flows.count(flow)
        flow.came_up()
        self.accounts.came_up_elsewhere(flow)
        if self._control_plane is not None and link.kind is LinkKind.SERVER:
            self._control_plane.link_up(link)

    def remote_login(self, link: Link, user: str, generation: int) -> None:
        """Know that *user* has logged in on a link of another process; NOT_HERE: at another pool, so it is only counted."""
        flow = self._flow_table.flow(link)
        if generation != NOT_HERE:
            flow.proved(user, generation)
            self._flow_table.owned(flow, user)
        self.accounts.proved_elsewhere(flow, user)

    def remote_down(self, link: Link, why: str) -> None:
        """Forget a link of another process, or a flow that such a link carries."""
        flow = self._flow_table.flow(link)
        if flow.carrier is not None:
            self.flow_ended(flow)
        else:
            self._forget(flow)
        if self._control_plane is not None and link.kind is LinkKind.SERVER:
            self._control_plane.link_down(link, why)

    def faulty(self, link: Link, fault: FramingError) -> bytes | None:
        """Return the answer to a stream that cannot be framed, None if none is possible; the link closes after it."""
        who = self._flow_table.flow(link).account.name
        self._log.warning(who, "unframeable", link=link.id, remote=link.remote[0], why=str(fault))
        if fault.request is None:
            return None
        try:
            return respond(fault.request, fault.status).encode()
        except RemoteError:
            return None

    def upgrade_refused(self, link: Link, refusal: RemoteError) -> None:
        """Record a WebSocket that was refused: the log has what the peer sent, the peer gets a sentence."""
        self._counters.upgrade_refused(refusal.status)
        self._gatekeeper.upgrade_refused(link, refusal)
        who, remote = self._flow_table.flow(link).account.name, link.remote[0]
        self._log.warning(
            who, "websocket refused", link=link.id, remote=remote, status=refusal.status, why=str(refusal)
        )

    # Messages

    def arrived(self, link: Link, message: Request | Response) -> None:
        """Handle one message; errors of the message are handled here, not raised."""
        flow = self._flow_table.flow(link)
        if isinstance(message, Response):
            self._response(flow, message)
            return
        try:
            check_request(message)
            self._request(flow, message)
        except RemoteError as wrong:
            self._executor.refuse_malformed(flow, message, wrong)
        except SipmeshError as wrong:
            self._executor.refuse_failed(flow, message, wrong)

    def _response(self, flow: Flow, response: Response) -> None:
        try:
            check_response(response)
        except RemoteError as wrong:
            self._malformed(flow, response, wrong)
            return
        try:
            if self._relay.responded(flow, response) or self._events.responded(flow, response):
                return
            if self._siblings is not None and self._siblings.responded(flow, response):
                return
            self._count_stray(flow)
            if self._control_plane is not None:
                self._control_plane.responded(flow.link, response)
        except SipmeshError as wrong:
            self._log.warning(flow.account.name, "response refused", link=flow.link.id, why=str(wrong))

    def _count_stray(self, flow: Flow) -> None:
        """Count a message that cannot be refused, or need not be served, as a request of its sender under overload."""
        if self._overload.active:
            self._overload.count(flow.link.demand)

    def _malformed(self, flow: Flow, response: Response, wrong: RemoteError) -> None:
        """End the request of a response that breaks a rule; of a request of our own, the status counts."""
        self._log.warning(flow.account.name, "response refused", link=flow.link.id, why=str(wrong))
        with suppress(SipmeshError):
            if not self._relay.malformed(flow, response):
                self._events.responded(flow, response)

    def _attempt(self, otherwise: str, act: Callable[[], object]) -> None:
        """Do *act*, and log *otherwise* if it fails: the caller must continue."""
        try:
            act()
        except SipmeshError as wrong:
            self._log.error("", otherwise, why=str(wrong))

    def _request(self, flow: Flow, request: Request) -> None:
        """Match a request with its transaction; ignore a retransmission of one that is being served (RFC 3261 17.2)."""
        key = server_key(request)
        proxied = flow.served.get(key)
        if request.method == "CANCEL":
            self._cancel(flow, request)
        elif proxied is None and flow.refused and key in flow.refused:
            if request.method == "ACK":
                del flow.refused[key]
        elif proxied is None or (request.method == "ACK" and not self._relay.server_transactions.acknowledged(proxied)):
            if request.method == "ACK":
                self._count_stray(flow)
            self._serve(flow, request, key)
            if flow.refresh is not None and request.method == "REGISTER":
                self._refresh_gate.learn(flow, request)
        else:
            self._count_stray(flow)

    def _cancel(self, flow: Flow, request: Request) -> None:
        """Answer a CANCEL, and cancel the INVITE with the same branch on the same link (RFC 3261 9.2)."""
        self._count_stray(flow)
        key = cancelled_key(request)
        invite = flow.served.get(key)
        status = 200 if invite is not None or key in flow.refused else 481
        flow.link.send(respond(request, status).encode())
        if invite is not None:
            self._relay.cancel(invite, reasons_of(request))

    def _serve(self, flow: Flow, request: Request, key: str) -> None:
        if flow.sender is None:
            flow.link.close("a message on a link without a verdict")
            return
        if flow.link.kind is LinkKind.CLIENT:
            host, port = flow.link.remote
            flow.mark = mark_received(request, host, port, flow.mark)
        if request.method == "ACK" and request.max_forwards == 0:
            return
        if request.method in POSTED and self._served_by_control_plane(flow, request):
            return
        if request.present & EVENT and names_package(request):
            self._executor.answer(flow, request, key, Answer(489, code=Code.ROLE_NOT_ALLOWED, why=NOT_ITS_PACKAGE))
            return
        early = DRAINING if self.is_draining and request.to.tag is None else None
        if early is None and request.method != "ACK":
            early = self._early_answer(flow, request)
        if early is not None:
            self._executor.answer(flow, request, key, early)
            return
        loop = loop_hash(request)
        if self._branches.looped(request, loop):
            self._executor.answer(
                flow, request, key, Answer(482, why="a loop: the request was here before, by the same route")
            )
            return
        place = self._take_place(flow, request)
        if flow.link.kind is LinkKind.SERVER and (request.method == "REGISTER" or place.login is not None):
            self._serve_carried(flow, request, key, place, loop)
        else:
            self._decide(flow, request, key, place, loop)

    def _serve_carried(self, flow: Flow, request: Request, key: str, place: RouteSet, loop: str) -> None:
        """Serve a request of a client whose link is at the server at the other end of *flow*, or the end of a carried flow."""
        if place.path is not None and is_end(request):
            self._executor.answer(flow, request, key, self.access.told_end(flow, place.path))
            return
        carried = self.home_flows.flow_of(flow, request, place)
        if isinstance(carried, Flow) and carried.account is not flow.account and carried.account.full:
            carried = self._executor.over_its_limit(carried, request, carried.account)
        if isinstance(carried, Answer):
            self._executor.answer(flow, request, key, carried)
        else:
            self._decide(carried or flow, request, key, place, loop)

    def _decide(self, flow: Flow, request: Request, key: str, place: RouteSet, loop: str) -> None:
        if flow.sender is None:
            return
        outcome = self.decide(request, place, flow.sender)
        if isinstance(outcome, Prove):
            self._log_in(PendingLogin(flow, request, key, place, outcome.aor, loop))
        else:
            self._executor.carry_out(flow, request, key, outcome, loop)

    def _take_place(self, flow: Flow, request: Request) -> RouteSet:
        """Take our entries from the Route; the first REGISTER of a client says by which way the client has come."""
        if request.method == "REGISTER" and not flow.service_route and flow.link.kind is LinkKind.CLIENT:
            transport = self._relay.server_transactions.listener(flow).transport
            flow.service_route = service_route(request, self.names, flow.link.local, transport)
        return take_place(request, self.names, self._tokens, flow.link.local)

    def _is_refused(self, flow: Flow, request: Request) -> bool:
        """Return whether *request* is refused because of overload: new requests first, REGISTER and those of a dialog last.

        A To tag alone is not a dialog: anybody can write one.
        """
        link, method = flow.link, request.method
        if link.kind is LinkKind.SERVER and method in OF_SERVERS:
            return False
        was_admitted = link.admitted > 0 and method.encode() in CLIENT_METHODS
        link.admitted -= was_admitted
        if method == "REGISTER" or (request.to.tag is not None and has_dialog_token(request, self._tokens)):
            is_refused = self._overload.refuses_last(link.demand, self._most_last(link))
            self._overload.refused_last += is_refused
            return is_refused
        if was_admitted:
            return False
        is_refused = self._overload.refuses_new(link.demand)
        self._overload.refused += is_refused
        return is_refused

    @staticmethod
    def _most_last(link: Link) -> int:
        """Give how many requests that are refused last a principal may send in a step; 0 is no limit.

        A server of ours carries many users, and phones that come back at once may share an address.
        """
        if link.kind is LinkKind.PARTNER:
            return MOST_LAST_OF_PARTNER
        return MOST_LAST_OF_USER if link.kind is LinkKind.CLIENT and link.authenticated else 0

    def _served_by_control_plane(self, flow: Flow, request: Request) -> bool:
        """Pass requests of our event package to the control plane; only from our own servers."""
        sender = flow.sender
        if self._control_plane is None or not isinstance(sender, ServerSender) or sender.kind is not LinkKind.SERVER:
            return False
        return self._control_plane.requested(flow.link, sender.peer, request)

    def _log_in(self, pending: PendingLogin) -> None:
        """Authenticate the sender, unless the login has to wait, and decide again."""
        if not self._logins.knows(pending.aor):
            self._executor.answer(pending.flow, pending.request, pending.key, NO_USERS_YET)
        elif not self._login_waits.has_to_wait(pending, self):
            self._authenticate(pending)

    def resume_login(self, pending: PendingLogin) -> None:
        """Check credentials after their wait; errors of the request are handled here, as in :meth:`arrived`."""
        try:
            self._authenticate(pending)
        except RemoteError as wrong:
            self._executor.refuse_malformed(pending.flow, pending.request, wrong)
        except SipmeshError as wrong:
            self._executor.refuse_failed(pending.flow, pending.request, wrong)

    def give_up_login(self, pending: PendingLogin) -> None:
        """Answer 503 to a login that cannot wait, because too many wait."""
        self._executor.answer(pending.flow, pending.request, pending.key, TOO_MANY_LOGINS)

    def _authenticate(self, pending: PendingLogin) -> None:
        """Decide again if the credentials are right; otherwise challenge the sender again."""
        flow, request, key, aor = pending.flow, pending.request, pending.key, pending.aor
        home = self.access.home_of(flow, aor) if request.method == "REGISTER" else ""
        if home:
            refused = self.access.carry(pending, home)
            if refused is not None:
                self._executor.answer(flow, request, key, refused)
            return
        if request.method == "REGISTER" and self.access.is_too_early(flow, aor):
            self._executor.answer(flow, request, key, NOT_TAKEN_OVER)
            return
        names, here = self.names, flow.link.local
        result = self._logins.check(flow, request, aor, lambda uri: names.ours(uri, here))
        if isinstance(result, Proved) and flow.sender is not None:
            outcome = self.decide(request, pending.place, flow.sender)
            self._executor.carry_out(flow, request, key, outcome, pending.loop)
            return
        response = self._logins.answer(flow, request, aor, result)
        if response is not None:
            self._executor.reply(flow, request, key, response)

    def _early_answer(self, flow: Flow, request: Request) -> Answer | None:
        """Return the refusal of a request that a proxy must check before anything else (RFC 3261 16.3), or None.

        A request is refused as well if there is no room for more work.
        """
        if self._overload.active and self._is_refused(flow, request):
            return OVERLOADED
        if flow.account.full:
            return self._executor.over_its_limit(flow, request, flow.account)
        if request.max_forwards == 0:
            return Answer(483, why="no hops left")
        if request.present & (MAX_BREADTH | PROXY_REQUIRE) and (refused := _not_to_be_forwarded(request)):
            return refused
        if self._relay.client_transactions.load >= self._max_exchanges:
            return try_later("too many exchanges at once")
        return self._executor.too_many_users(flow, request) if flow.link.kind is LinkKind.PARTNER else None

    def tick(self) -> None:
        """Remove what has expired; called about twice a second."""
        self._attempt("expired transactions not removed", self._relay.sweep)
        self.accounts.sweep()
        self._log.sweep()
        self._registrations.sweep()
        self._attempt("event state not swept", self._events.sweep)


def _not_to_be_forwarded(request: Request) -> Answer | None:
    """Return the refusal of a request that asks for an extension, or has no breadth left; None if it has neither."""
    required = unsupported(request, "proxy-require", UNDERSTOOD)
    if required:
        return Answer(420, headers=(("Unsupported", ", ".join(required)),))
    return Answer(EXCEEDED, why="no breadth is left for a branch") if breadth_of(request) == 0 else None
