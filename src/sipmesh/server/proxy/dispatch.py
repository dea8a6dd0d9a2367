"""What a server does with everything its links tell it: judge, admit, decide, and hand on to whoever carries it out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from sipmesh.distribution.event import names_package
from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.routing.authentication.backoff import network_of
from sipmesh.routing.authentication.digest import Proved
from sipmesh.routing.identity.border import IN_REQUESTS
from sipmesh.routing.identity.route_set import Names, RouteSet, take_place
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import Answer, Drop, Forward, Outcome, Prove, Register, ToUser
from sipmesh.routing.proxy.branch import loop_hash
from sipmesh.routing.proxy.received import mark_received
from sipmesh.routing.proxy.target_set import fork
from sipmesh.routing.roles.front_end import to_home
from sipmesh.server.proxy.counters import Counters
from sipmesh.server.proxy.gatekeeper import REMEMBERED_REFUSALS
from sipmesh.server.quotas.limited_log import cut
from sipmesh.sip.check import check_request, check_response, unsupported
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.rows import EVENT, PROXY_REQUIRE
from sipmesh.sip.transaction.ack import reasons_of
from sipmesh.sip.transaction.key import cancelled_key, server_key
from sipmesh.transport.link.link import LinkEvents
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.judgement.explain import headline

if TYPE_CHECKING:
    from sipmesh.routing.identity.border import Border
    from sipmesh.routing.identity.dialog_token import Tokens
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.proxy.branch import Branches
    from sipmesh.server.proxy.digest_auth import DigestAuth
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.gatekeeper import Gatekeeper
    from sipmesh.server.proxy.latency_histogram import LatencyHistogram
    from sipmesh.server.proxy.registrations import Registrations
    from sipmesh.server.proxy.relay import Relay
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.server.quotas.usage import Usage
    from sipmesh.sip.framing import FramingError
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.verdict import Verdict

Decide = Callable[[Request, RouteSet, "Sender"], Outcome]

RETRY_AFTER_S: Final = "5"
NO_USERS_YET: Final = Answer(
    503, headers=(("Retry-After", RETRY_AFTER_S),), why="management has not sent the users yet"
)

TOO_MANY_LOGINS: Final = Answer(
    503, headers=(("Retry-After", RETRY_AFTER_S),), why="too many logins of this user, or from this address, wait"
)

COARSE: Final = {
    Code.FROM_NOT_ALLOWED: "identity",
    Code.ASSERTION_NOT_ALLOWED: "identity",
    Code.NOT_AUTHENTICATED: "identity",
    Code.NO_ROUTE: "routing",
    Code.PARTNER_BLOCKED: "routing",
    Code.PARTNER_UNKNOWN: "routing",
    Code.ROLE_NOT_ALLOWED: "role",
    Code.OTHER_HOME: "home",
}
"""What a refused peer learns of the reason; the rest stands in our log under the same reference."""


POSTED: Final = frozenset({"SUBSCRIBE", "NOTIFY", "PUBLISH"})
"""What our own event package consists of; these may be of any other package as well."""

NOT_ITS_PACKAGE: Final = "an event package for servers of this network, and its sender is not such a server"


class ControlPlane(Protocol):
    """What takes the requests and responses that are about the network itself, and not for its users."""

    def link_up(self, link: Link) -> None:
        """A link between servers of ours is up."""

    def link_down(self, link: Link, why: str) -> None:
        """A link between servers of ours is gone, or never came up."""

    def requested(self, link: Link, peer: TrustedPeer, request: Request) -> bool:
        """Serve *request* if it is of our package; False if it is not."""

    def responded(self, link: Link, response: Response) -> None:
        """Take a response that no branch of ours waits for."""


class Dispatch(LinkEvents):
    """Hears the links of one server; the only place where messages meet decisions."""

    def __init__(
        self,
        *,
        names: Names,
        decide: Decide,
        border: Border,
        gatekeeper: Gatekeeper,
        flow_table: FlowTable,
        relay: Relay,
        registrations: Registrations,
        logins: DigestAuth,
        tokens: Tokens,
        branches: Branches,
        log: LimitedLog,
        accounts: Principals,
        tally: Counters | None = None,
        max_exchanges: int = 50_000,
    ) -> None:
        self.names, self.decide, self.border = names, decide, border
        self._gatekeeper, self._flow_table, self._relay = gatekeeper, flow_table, relay
        self._registrations, self._logins = registrations, logins
        self._tokens, self._branches, self._log = tokens, branches, log
        self.accounts, self._max_exchanges = accounts, max_exchanges
        self._counters = tally or Counters()
        self._references = 0
        self.refused_messages: deque[dict[str, Any]] = deque(maxlen=REMEMBERED_REFUSALS)
        self.post: ControlPlane | None = None

    def __repr__(self) -> str:
        return f"<Dispatch {self._relay!r}, {self._references} messages refused>"

    def take(self, names: Names, decide: Decide, border: Border) -> None:
        """Route by another topology from now on."""
        self.names, self.decide, self.border = names, decide, border
        self._relay.border = border

    @property
    def load(self) -> int:
        """How many branches wait for their final response."""
        return self._relay.load

    @property
    def waits(self) -> dict[str, LatencyHistogram]:
        """How long branches have waited for their final response, by method."""
        return {"INVITE": self._relay.invite_waits, "other": self._relay.waits}

    @property
    def calls_started(self) -> int:
        """How many INVITEs outside a dialog were sent on."""
        return self._relay.calls_started

    @property
    def calls_ended(self) -> dict[str, int]:
        """How many of these got a final response, by its class."""
        return {f"{digit}xx": self._relay.calls_ended[digit] for digit in range(2, 7)}

    @property
    def unanswered(self) -> int:
        """How many branches got no final response in time."""
        return self._relay.unanswered

    # Links

    def judge(self, link: Link, evidence: PeerEvidence) -> Verdict:
        """Give the verdict on the peer of *link*."""
        return self._gatekeeper.judge(evidence, link.meant)

    def judge_again(self, link: Link, evidence: PeerEvidence) -> Verdict:
        """Give a new verdict on the peer of a *link* that is up: a list that has ended meanwhile does not end it."""
        return self._gatekeeper.judge(evidence, link.meant, live=True)

    def link_up(self, link: Link) -> None:
        """A peer was accepted."""
        flow = self._flow_table.flow(link)
        flow.came_up()
        self.accounts.came_up(flow)
        if link.verdict is not None:
            self._counters.judged(link.verdict)
        if self.post is not None and link.kind is LinkKind.SERVER:
            self.post.link_up(link)
        if link.kind is not LinkKind.CLIENT and link.verdict is not None:
            self._log.info(link.peer_name, "link accepted", link=link.id, verdict=headline(link.verdict))

    def refused(self, verdict: Verdict) -> None:
        """A peer was refused: the log says everything, the peer learnt nothing but its alert."""
        self._gatekeeper.remember(verdict)
        self._counters.judged(verdict)
        who = network_of(verdict.remote[0]) if verdict.direction is Direction.ACCEPTED else verdict.meant
        self._log.warning(who, "link refused", code=verdict.code, verdict=headline(verdict), remedies=verdict.remedies)

    def link_down(self, link: Link, why: str, verdict: Verdict | None) -> None:
        """A link is gone: its flow, its bindings and its branches with it."""
        self._counters.gone(link)
        flow = self._flow_table.flow(link)
        self._flow_table.forget(flow)
        self._logins.gone(flow)
        self.accounts.gone(flow)
        self._attempt(
            "registrations of a closed flow stay until they expire", lambda: self._registrations.flow_closed(flow)
        )
        self._relay.link_down(flow)
        if self.post is not None and link.kind is LinkKind.SERVER:
            self.post.link_down(link, why)
        if link.kind is not LinkKind.CLIENT or link.direction is Direction.OPENED:
            code = verdict.code if verdict is not None else None
            peer = link.peer_name or link.meant
            self._log.info(peer, "link closed", link=link.id, peer=peer, why=why, code=code)

    def faulty(self, link: Link, fault: FramingError) -> bytes | None:
        """Answer what can be answered of a stream that cannot be framed; the link closes after it."""
        who = self._flow_table.flow(link).account.name
        self._log.warning(who, "unframeable", link=link.id, remote=link.remote[0], why=str(fault))
        if fault.request is None:
            return None
        try:
            return respond(fault.request, fault.status).encode()
        except RemoteError:
            return None

    # Messages

    def arrived(self, link: Link, message: Request | Response) -> None:
        """Take one message; what is wrong with it ends here."""
        flow = self._flow_table.flow(link)
        if isinstance(message, Response):
            self._response(flow, message)
            return
        try:
            check_request(message)
            self._request(flow, message)
        except RemoteError as wrong:
            self._malformed(flow, message, wrong)
        except SipmeshError as wrong:
            self._failed(flow, message, wrong)

    def _response(self, flow: Flow, response: Response) -> None:
        try:
            check_response(response)
            if not self._relay.responded(flow, response) and self.post is not None:
                self.post.responded(flow.link, response)
        except SipmeshError as wrong:
            self._log.warning(flow.account.name, "response dropped", link=flow.link.id, why=str(wrong))

    def _malformed(self, flow: Flow, request: Request, wrong: RemoteError) -> None:
        """Answer with the status that the broken rule asks for, or close where nothing can be answered."""
        who = flow.account.name
        self._log.warning(who, "request refused", link=flow.link.id, method=request.method[:32], why=str(wrong))
        if request.method == "ACK":
            return
        try:
            flow.link.send(respond(request, wrong.status).encode())
        except RemoteError as unanswerable:
            flow.link.close(f"cannot be answered: {unanswerable}")

    def _failed(self, flow: Flow, request: Request, wrong: SipmeshError) -> None:
        """A fault on our side, such as a store that cannot be written: its text is for our log."""
        who = flow.account.name
        self._log.error(who, "request failed", link=flow.link.id, method=request.method, why=str(wrong))
        if request.method == "ACK":
            return
        response = respond(request, 500, headers=(("Retry-After", RETRY_AFTER_S),))
        held = flow.served.get(server_key(request))
        if held is not None:
            self._relay.answer(held, response)
        else:
            flow.link.send(response.encode())

    def _attempt(self, otherwise: str, act: Callable[[], object]) -> None:
        """Do what must not keep the rest from being done; a fault of ours is logged."""
        try:
            act()
        except SipmeshError as wrong:
            self._log.error("", otherwise, why=str(wrong))

    def _request(self, flow: Flow, request: Request) -> None:
        """Match a request with its transaction; a copy of one that is being served is left alone (RFC 3261 section 17.2)."""
        key = server_key(request)
        held = flow.served.get(key)
        if request.method == "CANCEL":
            self._cancel(flow, request)
        elif held is None and flow.refused and key in flow.refused:
            if request.method == "ACK":
                del flow.refused[key]
        elif held is None or (request.method == "ACK" and not self._relay.acknowledged(held)):
            self._serve(flow, request, key)

    def _cancel(self, flow: Flow, request: Request) -> None:
        """Answer a CANCEL and take back the INVITE of the same branch on the same link (RFC 3261 section 9.2)."""
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
        if request.method in POSTED and self._posted(flow, request):
            return
        if request.present & EVENT and names_package(request):
            self._answer(flow, request, key, Answer(489, code=Code.ROLE_NOT_ALLOWED, why=NOT_ITS_PACKAGE))
            return
        early = None
        if request.method != "ACK":
            account = flow.account
            early = self._over_its_limit(flow, request, account) if account.full else self._early_answer(request)
        if early is not None:
            self._answer(flow, request, key, early)
            return
        loop = loop_hash(request)
        if self._branches.looped(request, loop):
            self._answer(flow, request, key, Answer(482, why="a loop: the request was here before, by the same route"))
            return
        place = take_place(request, self.names, self._tokens, flow.link.local)
        outcome = self.decide(request, place, flow.sender)
        proved = self._prove(flow, request, key, place, outcome, loop) if isinstance(outcome, Prove) else outcome
        if proved is not None:
            self._carry_out(flow, request, key, proved, loop)

    def _posted(self, flow: Flow, request: Request) -> bool:
        """Hand over what is of our own event package; it comes from servers of ours and from nobody else."""
        sender = flow.sender
        if self.post is None or not isinstance(sender, ServerSender) or sender.kind is not LinkKind.SERVER:
            return False
        return self.post.requested(flow.link, sender.peer, request)

    def _prove(
        self, flow: Flow, request: Request, key: str, place: RouteSet, asked: Prove, loop: str
    ) -> Outcome | None:
        """Have the sender prove who it is and decide again; None while it is being asked, or has to wait."""
        if not self._logins.ready:
            return NO_USERS_YET
        go_on = lambda: self._prove_now(flow, request, key, place, asked, loop)  # noqa: E731 - one of two ends of a wait
        give_up = lambda: self._answer(flow, request, key, TOO_MANY_LOGINS)  # noqa: E731 - the other
        if self._logins.waits(flow, request, asked.aor, go_on, give_up):
            return None
        return self._looked_at(flow, request, key, place, asked)

    def _prove_now(self, flow: Flow, request: Request, key: str, place: RouteSet, asked: Prove, loop: str) -> None:
        """Look at credentials that had to wait; what is wrong with the request ends here, as in :meth:`arrived`."""
        try:
            outcome = self._looked_at(flow, request, key, place, asked)
            if outcome is not None:
                self._carry_out(flow, request, key, outcome, loop)
        except RemoteError as wrong:
            self._malformed(flow, request, wrong)
        except SipmeshError as wrong:
            self._failed(flow, request, wrong)

    def _looked_at(self, flow: Flow, request: Request, key: str, place: RouteSet, asked: Prove) -> Outcome | None:
        """Decide again if the credentials are right; None if the sender was asked for them once more."""
        result = self._logins.check(flow, request, asked.aor)
        if isinstance(result, Proved) and flow.sender is not None:
            return self.decide(request, place, flow.sender)
        self._logins.answer(flow, request, asked.aor, result, lambda reply: self._reply(flow, request, key, reply))
        return None

    def _early_answer(self, request: Request) -> Answer | None:
        """RFC 3261 section 16.3: what a proxy must look at before anything else."""
        if request.max_forwards == 0:
            return Answer(483, why="no hops left")
        if request.present & PROXY_REQUIRE and (required := unsupported(request, "proxy-require", ())):
            return Answer(420, headers=(("Unsupported", ", ".join(required)),))
        if self._relay.load >= self._max_exchanges:
            return Answer(503, headers=(("Retry-After", RETRY_AFTER_S),), why="too many exchanges at once")
        return None

    def _over_its_limit(self, flow: Flow, request: Request, account: Usage) -> Answer:
        """Tell the sender of a request to come back when some of those before are answered; nobody else notices."""
        self.accounts.refuse(account)
        self._log.warning(
            flow.account.name,
            "too many octets in memory",
            link=flow.link.id,
            principal=f"{account.kind} {account.name}",
            method=request.method[:32],
            branches=account.branches,
            octets=account.octets,
        )
        return Answer(503, headers=(("Retry-After", RETRY_AFTER_S),), why="too many octets of its sender in memory")

    def _carry_out(self, flow: Flow, request: Request, key: str, outcome: Outcome, loop: str) -> None:
        if isinstance(outcome, ToUser):
            outcome = self._to_user(flow, request, outcome)
        if isinstance(outcome, Forward):
            self._forward(flow, request, key, outcome, loop)
        elif isinstance(outcome, Answer):
            self._answer(flow, request, key, outcome)
        elif isinstance(outcome, Register):
            self._reply(flow, request, key, self._registrations.register(flow, request, outcome.aor))
        elif isinstance(outcome, Prove):
            self._answer(flow, request, key, Answer(403, code=Code.NOT_AUTHENTICATED, why=f"not {outcome.aor}"))
        elif isinstance(outcome, Drop):
            self._log.debug("dropped", link=flow.link.id, method=request.method, why=outcome.why)

    def _to_user(self, flow: Flow, request: Request, outcome: ToUser) -> Forward | Answer:
        home = self._logins.homes.of(outcome.aor)
        if home is None and not self._logins.ready:
            return NO_USERS_YET
        if home is None or flow.sender is None:
            return Answer(404, why=f"{outcome.aor} is not a user of this network")
        view = self._gatekeeper.view
        if home != view.pool.name:
            return to_home(request, outcome, flow.sender, home, view.servers_of(home))
        held = self._registrations.bindings(outcome.aor)
        return fork(request, held, outcome.identity, view.name, view.pool_mates)

    def _forward(self, flow: Flow, request: Request, key: str, outcome: Forward, loop: str) -> None:
        if request.present & IN_REQUESTS and flow.sender is not None:
            self.border.admit_request(request, flow.sender)
        if request.method == "ACK":
            self._relay.pass_ack(request, outcome)
            return
        account = flow.account
        if flow.link.kind is LinkKind.SERVER:
            account = self.accounts.carried(account, outcome.identity, request)
            full = account.first_full()
            if full is not None:
                self._answer(flow, request, key, self._over_its_limit(flow, request, full))
                return
        proxied = self._relay.open(flow, request, key)
        proxied.account = account
        self._relay.forward(proxied, outcome, loop)

    def _answer(self, flow: Flow, request: Request, key: str, answer: Answer) -> None:
        """Answer a request ourselves; a refusal carries a coarse class and a reference to our log."""
        if request.method == "ACK":
            return
        headers = answer.headers
        if answer.code is not None:
            headers += (("Warning", self._warn(flow, request, answer)),)
        self._reply(flow, request, key, respond(request, answer.status, answer.reason or None, headers=headers))

    def _warn(self, flow: Flow, request: Request, answer: Answer) -> str:
        self._references += 1
        reference = f"{flow.link.id}-{self._references}"
        told = {
            "link": flow.link.id,
            "peer": flow.link.peer_name or ", ".join(sorted(flow.users)) or flow.link.remote[0],
            "method": request.method,
            "status": answer.status,
            "code": answer.code,
            "why": answer.why,
            "reference": reference,
        }
        told = cut(told)
        self.refused_messages.append(told)
        self._counters.refused(str(answer.code))
        self._log.warning(flow.account.name, "message refused", **told)
        coarse = COARSE.get(answer.code, "policy") if answer.code is not None else "policy"
        return f'399 {self._gatekeeper.view.name} "refused: {coarse}, reference {reference}"'

    def _reply(self, flow: Flow, request: Request, key: str, response: Response) -> None:
        """Send a response of our own; of an INVITE only what tells its ACK is kept (RFC 3261 sections 8.2.7 and 26.3.2.4)."""
        flow.link.send(response.encode())
        if request.method == "INVITE":
            flow.refuse(key)

    def tick(self) -> None:
        """Sweep what has a deadline; called about once a second."""
        self._attempt("expired transactions not removed", self._relay.sweep)
        self.accounts.sweep()
        self._log.sweep()
        self._attempt("expired registrations not removed", lambda: self._registrations.expire(time.time()))
