"""Receives all events of a server's links: checks and decides about messages, and passes the rest on."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipmesh.distribution.event import names_package
from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.routing.identity.privacy import OPTION
from sipmesh.routing.identity.route_set import RouteSet, service_route, take_place
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import DRAINING, Answer, Prove, try_later
from sipmesh.routing.proxy.branch import loop_hash
from sipmesh.routing.proxy.breadth import breadth_of
from sipmesh.routing.proxy.received import mark_received
from sipmesh.routing.roles.decide import decide
from sipmesh.server.proxy.access.end_of_flow import is_end
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.login.login_waits import PendingLogin
from sipmesh.server.proxy.registrar.repeated_refresh import RefreshGate
from sipmesh.server.proxy.relay import FORGOTTEN_AT_ONCE, Relay
from sipmesh.sip.check import check_request, check_response, unsupported
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.rows import EVENT, MAX_BREADTH, PROXY_REQUIRE
from sipmesh.sip.status import Status
from sipmesh.sip.transaction.ack import reasons_of
from sipmesh.sip.transaction.key import cancelled_key, server_key
from sipmesh.transport.link.events import LinkEvents
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.routing.identity.tokens import Tokens
    from sipmesh.routing.overload import OverloadControl
    from sipmesh.routing.proxy.branch import Branches
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.access.access_proxy import AccessProxy
    from sipmesh.server.proxy.access.home_flows import HomeFlows
    from sipmesh.server.proxy.access.request_logins import RequestLogins
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.execution.executor import Executor
    from sipmesh.server.proxy.execution.responder import Responder
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.links.link_lifecycle import LinkLifecycle
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.overload_admission import OverloadAdmission
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.sip.framing import FramingError
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.verdict import Verdict

POSTED: Final = frozenset({"SUBSCRIBE", "NOTIFY", "PUBLISH"})
"""The methods of our own event package; other event packages use them too."""

UNDERSTOOD: Final = (OPTION,)
"""The option tags that a request may require of proxies (RFC 3261 16.3)."""

OVERLOADED: Final = try_later("too many requests at once")

FOR_CONTROL: Final = Answer(
    403, code=Code.ROLE_NOT_ALLOWED, why="its link is for the control plane alone, as the handshake said (ALPN)"
)

NOT_ITS_PACKAGE: Final = Answer(
    489,
    code=Code.ROLE_NOT_ALLOWED,
    why="an event package for servers of this network, and its sender is not such a server",
)


class Dispatch(LinkEvents):
    """Receives the events of all links of one server; messages are decided about only here."""

    def __init__(
        self,
        *,
        current: Current,
        flow_table: FlowTable,
        links: LinkLifecycle,
        request_logins: RequestLogins,
        admission: OverloadAdmission,
        relay: Relay,
        registrations: Registrations,
        executor: Executor,
        responder: Responder,
        events: EventServer,
        tokens: Tokens,
        branches: Branches,
        log: LimitedLog,
        accounts: Principals,
        overload: OverloadControl,
        home_flows: HomeFlows,
        access: AccessProxy,
        outside: Outside,
        siblings: OtherProcesses,
        call_soon: Callable[[Callable[[], None]], object],
        max_exchanges: int = 50_000,
    ) -> None:
        self._current = current
        self._flow_table, self.links, self._relay = flow_table, links, relay
        self._registrations, self._executor, self._events = registrations, executor, events
        self._responder = responder
        self._request_logins = request_logins
        self._tokens, self._branches, self._log = tokens, branches, log
        self.accounts, self._max_exchanges = accounts, max_exchanges
        self.is_draining = self._is_sweeping = False
        self._overload, self._admission = overload, admission
        self._refresh_gate = RefreshGate(current, registrations, overload, relay, max_exchanges)
        self._outside = outside
        self.home_flows, self.access = home_flows, access
        self._siblings = siblings
        self._call_soon = call_soon

    def __repr__(self) -> str:
        return f"<Dispatch {self._relay!r}, {self._executor!r}>"

    def drain(self) -> None:
        """Refuse each request outside dialogs from now on, those among them that wait for their login."""
        self.is_draining = self._refresh_gate.is_draining = True
        self._request_logins.give_up()
        self._events.drain()

    # Links

    def judge(self, link: Link, evidence: PeerEvidence) -> Verdict:
        """See :class:`LinkLifecycle`."""
        return self.links.judge(link, evidence)

    def link_up(self, link: Link) -> None:
        """See :class:`LinkLifecycle`."""
        self.links.link_up(link)

    def refused(self, verdict: Verdict) -> None:
        """See :class:`LinkLifecycle`."""
        self.links.refused(verdict)

    def upgrade_refused(self, link: Link, refusal: RemoteError) -> None:
        """See :class:`LinkLifecycle`."""
        self.links.upgrade_refused(link, refusal)

    def link_down(self, link: Link, why: str, verdict: Verdict | None) -> None:
        """See :class:`LinkLifecycle`."""
        self.links.link_down(link, why, verdict)

    # Messages

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
            self._admission.count_stray(link, message)
            self._responder.refuse_malformed(flow, message, wrong)
        except SipmeshError as wrong:
            self._responder.refuse_failed(flow, message, wrong)

    def _response(self, flow: Flow, response: Response) -> None:
        try:
            check_response(response)
        except RemoteError as wrong:
            self._malformed(flow, response, wrong)
            return
        if self._overload.active and self._is_answered_without_end(flow, response):
            self._admission.count_stray(flow.link, response)
        try:
            if self._relay.responded(flow, response) or self._events.responded(flow, response):
                return
            if self._siblings.responded(flow, response):
                return
            self._admission.count_stray(flow.link, response)
            if flow.link.kind is LinkKind.SERVER:
                self._outside.control_plane.responded(flow.link, response)
        except SipmeshError as wrong:
            self._log.warning(flow.account.name, "response refused", link=flow.link.id, why=str(wrong))

    def _is_answered_without_end(self, flow: Flow, response: Response) -> bool:
        """Tell whether a branch of this process, or of another one, has had more responses than phones send."""
        return self._siblings.is_answered_without_end(flow, response) or self._relay.is_answered_without_end(
            flow, response
        )

    def _malformed(self, flow: Flow, response: Response, wrong: RemoteError) -> None:
        """End the request of a response that breaks a rule; of a request of our own, the status counts."""
        self._admission.count_stray(flow.link, response)
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
                self._admission.count_stray(flow.link, request)
            self._serve(flow, request, key)
            if flow.refresh is not None and request.method == "REGISTER":
                self._refresh_gate.learn(flow, request)
        else:
            self._admission.count_stray(flow.link, request)

    def _cancel(self, flow: Flow, request: Request) -> None:
        """Answer a CANCEL, and cancel the INVITE with the same branch on the same link (RFC 3261 9.2)."""
        self._admission.count_stray(flow.link, request)
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
        early = _misplaced(flow.link, request)
        if early is None and self.is_draining and request.to.tag is None:
            early = DRAINING
        if early is None and request.method != "ACK":
            early = self._early_answer(flow, request)
        if early is not None:
            self._responder.answer(flow, request, key, early)
            return
        loop = loop_hash(request)
        if self._branches.looped(request, loop):
            self._responder.answer(
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
            self._responder.answer(flow, request, key, self.access.told_end(flow, place.path))
            return
        carried = self.home_flows.flow_of(flow, request, place)
        if isinstance(carried, Flow) and carried.account is not flow.account and carried.account.full:
            carried = self._responder.over_its_limit(carried, request, carried.account)
        if isinstance(carried, Answer):
            self._responder.answer(flow, request, key, carried)
        else:
            self._decide(carried or flow, request, key, place, loop)

    def _decide(self, flow: Flow, request: Request, key: str, place: RouteSet, loop: str) -> None:
        if flow.sender is None:
            return
        outcome = decide(request, place, flow.sender, self._current.value.facts)
        if isinstance(outcome, Prove):
            self._request_logins.log_in(PendingLogin(flow, request, key, place, outcome.aor, loop))
        else:
            self._executor.carry_out(flow, request, key, outcome, loop)

    def _take_place(self, flow: Flow, request: Request) -> RouteSet:
        """Take our entries from the Route; the first REGISTER of a client says by which way the client has come."""
        names = self._current.value.names
        if request.method == "REGISTER" and not flow.service_route and flow.link.kind is LinkKind.CLIENT:
            transport = self._relay.server_transactions.listener(flow).transport
            flow.service_route = service_route(request, names, flow.link.local, transport)
        return take_place(request, names, self._tokens, flow.link.local)

    def _served_by_control_plane(self, flow: Flow, request: Request) -> bool:
        """Pass requests of our event package to the control plane; only from our own servers."""
        sender = flow.sender
        if not isinstance(sender, ServerSender) or sender.kind is not LinkKind.SERVER:
            return False
        return self._outside.control_plane.requested(flow.link, sender.peer, request)

    def _early_answer(self, flow: Flow, request: Request) -> Answer | None:
        """Return the refusal of a request that a proxy must check before anything else (RFC 3261 16.3), or None.

        A request is refused as well if there is no room for more work.
        """
        if self._overload.active and self._admission.is_refused(flow.link, request):
            return OVERLOADED
        if flow.account.full:
            return self._responder.over_its_limit(flow, request, flow.account)
        if request.max_forwards == 0:
            return Answer(483, why="no hops left")
        if request.present & (MAX_BREADTH | PROXY_REQUIRE) and (refused := _not_to_be_forwarded(request)):
            return refused
        if self._relay.client_transactions.load >= self._max_exchanges:
            return try_later("too many exchanges at once")
        return self._responder.too_many_users(flow, request) if flow.link.kind is LinkKind.PARTNER else None

    def tick(self) -> None:
        """Remove what has expired; called about twice a second."""
        if not self._is_sweeping:
            self._sweep()
        self.accounts.sweep()
        self._log.sweep()
        self._registrations.sweep()
        self._attempt("event state not swept", self._events.sweep)

    def _sweep(self) -> None:
        """Remove a part of the transactions that have expired, and the rest in later turns of the loop.

        Under load there are tens of thousands: to remove them at once would stop the loop for as many microseconds, and more.
        """
        self._is_sweeping = False  # also if it fails: then the next tick goes on
        self._attempt("expired transactions not removed", self._sweep_part)

    def _sweep_part(self) -> None:
        if self._relay.sweep(FORGOTTEN_AT_ONCE):
            self._is_sweeping = True
            self._call_soon(self._sweep)


def _misplaced(link: Link, request: Request) -> Answer | None:
    """Return the refusal of a request that its sender may not send on *link*, or None.

    An OPTIONS for the server itself shows its peer that a control link works.
    """
    if link.is_control and link.agreed_on_control and (request.method != "OPTIONS" or request.ruri.user is not None):
        return FOR_CONTROL
    return NOT_ITS_PACKAGE if request.present & EVENT and names_package(request) else None


def _not_to_be_forwarded(request: Request) -> Answer | None:
    """Return the refusal of a request that asks for an extension, or has no breadth left; None if it has neither."""
    required = unsupported(request, "proxy-require", UNDERSTOOD)
    if required:
        return Answer(420, headers=(("Unsupported", ", ".join(required)),))
    return (
        Answer(Status.MAX_BREADTH_EXCEEDED, why="no breadth is left for a branch") if breadth_of(request) == 0 else None
    )
