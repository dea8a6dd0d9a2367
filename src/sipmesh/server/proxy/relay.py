"""Carries out what routing decided: sends branches, responses, CANCEL and ACK (RFC 3261 16)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.border import ON_THE_WAY_OUT, Border
from sipmesh.routing.identity.dialog_token import Begun, FlowSide, Side, Tokens, owner_hash
from sipmesh.routing.identity.privacy import (
    hides_identity,
)
from sipmesh.routing.identity.response_policy import is_to, settle, settle_registration
from sipmesh.routing.identity.sender import named_side
from sipmesh.routing.proxy.forwarding import (
    ListenerAddress,
    assert_identity,
    branch_copy,
    contact_host,
    creates_dialog,
    hides_answerer,
    hides_history,
    record_routes,
    recorded_token,
    released_identity,
    renew_token,
)
from sipmesh.routing.proxy.release import (
    MALFORMED,
    REASON,
    ack_in_place_of_caller,
    bye_after_ack,
    bye_in_place_of_callee,
    bye_in_place_of_caller,
    readable_part,
    without_body,
)
from sipmesh.routing.proxy.response_context import (
    BAD_GATEWAY,
    FLOW_FAILED,
    SILENT_S,
    TEMPORARILY_UNAVAILABLE,
    AwaitSilent,
    Cancel,
    Effect,
    Forget,
    ResponseContext,
    SendResponse,
    Start,
    explained,
    lost_status,
    ways_to,
)
from sipmesh.routing.registrar.gruu import is_to_hidden_user
from sipmesh.routing.target import FlowTarget, Found, RemoteFlowTarget, ServerTarget, Target
from sipmesh.server.proxy.call_table import CallTable
from sipmesh.server.proxy.calls.privacy_service import PrivacyService
from sipmesh.server.proxy.flow import ProxiedRequest, SentBranch
from sipmesh.server.proxy.latency_histogram import LatencyHistogram
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.server.quotas.usage import BRANCH_OCTETS
from sipmesh.sip.framing import MAX_HEADER, MAX_ROWS
from sipmesh.sip.message import Message, Request, Response, respond
from sipmesh.sip.rows import RECORD_ROUTE
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from sipmesh.sip.transaction.client import ClientTransaction
from sipmesh.sip.transaction.server import ServerTransaction
from sipmesh.sip.transaction.state import Do, Input, TransactionState, of_status
from sipmesh.sip.transaction.timers import Timer
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from sipmesh.routing.outcome import Answer, Forward
    from sipmesh.routing.proxy.branch import Branches
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.proxy.calls.media_guard import MediaGuard
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.liveness.outages import Outages
    from sipmesh.transport.link.link import Link

TOO_LARGE_A_BODY: Final = 413

FINAL_S: Final = Timer.F.seconds
"""Seconds; timers B, F, H, L and M all have this length (RFC 3261 17, RFC 6026)."""

TRYING: Final = 100
FIRST_FINAL: Final = 200
MOST_SEARCHED: Final = 1_000
"""Requests of one link among which the INVITE of a refused ACK is searched, the newest first."""

MESSAGE_TOO_LARGE: Final = 513
REQUEST_TERMINATED: Final = 487

COUNTED: Final = ("MESSAGE", "REGISTER")
"""Methods whose final responses are counted, beside the calls."""


def is_too_long(message: Message, size: int) -> bool:
    """Return whether a message of *size* octets has a header that a reader with our limits would refuse.

    Every hop adds to a message. So each server checks what it sends; otherwise the next hop would close the link.
    """
    return len(message.rows) > MAX_ROWS or (size > MAX_HEADER and size - len(message.body) > MAX_HEADER)


class Access:
    """What a relay tells of the requests that it carries between a user's link and the home pool of the user."""

    def answered(self, sent: SentBranch, response: Response) -> None:
        """The home pool has answered a REGISTER; *response* may be changed."""
        raise NotImplementedError

    def flow_failed(self, sent: SentBranch) -> None:
        """The next server has answered 430: it does not know the flow of a request any more."""
        raise NotImplementedError


NO_ACCESS: Final = Access()


class Relay:
    """All requests in progress on one server, with their deadlines.

    *forget* is told the bindings whose flow is gone. *border* is the border of the topology in force.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        flow_table: FlowTable,
        forget: Callable[[Binding], None],
        tokens: Tokens,
        branches: Branches,
        listeners: dict[str, ListenerAddress],
        border: Border,
        outages: Outages,
        calls: CallTable,
        media: MediaGuard,
    ) -> None:
        self.border = border
        self.access: Access = NO_ACCESS
        self._outages, self.calls, self._media = outages, calls, media
        self._clock: Callable[[], float] = loop.time
        self._flow_table, self._forget = flow_table, forget
        self._tokens, self._branches, self._listeners = tokens, branches, listeners
        self._privacy = PrivacyService(tokens)
        self._vias = {port: listener.via for port, listener in listeners.items()}
        self._unanswered: TimeoutQueue[SentBranch] = TimeoutQueue(FINAL_S, self._timed_out)
        self._ringing: TimeoutQueue[SentBranch] = TimeoutQueue(Timer.C.seconds, self._timed_out)
        self._lingering: TimeoutQueue[SentBranch] = TimeoutQueue(FINAL_S, self._drop_branch)
        self._served: TimeoutQueue[ProxiedRequest] = TimeoutQueue(FINAL_S, self._drop_exchange)
        self._silent: TimeoutQueue[ProxiedRequest] = TimeoutQueue(SILENT_S, self._leave_silent)
        self.waits, self.invite_waits = LatencyHistogram(), LatencyHistogram()
        self.unanswered = self.calls_started = 0
        self.answered = {method: [0] * 7 for method in COUNTED}  # final responses, by the first digit
        self.calls_ended = [0] * 7  # first final responses to initial INVITEs, by the first digit

    def __repr__(self) -> str:
        return f"<Relay {len(self._unanswered)} unanswered, {len(self._ringing)} ringing, {len(self._served)} ending>"

    @property
    def load(self) -> int:
        """How many branches wait for their final response."""
        return len(self._unanswered) + len(self._ringing)

    def sweep(self) -> None:
        """Handle every deadline that has passed."""
        now = self._clock()
        for expiry in (self._unanswered, self._ringing):
            expiry.sweep(now)
        self._silent.sweep(now)
        self._lingering.sweep(now)
        self._served.sweep(now)

    # Requests in

    def open(self, flow: Flow, request: Request, key: str) -> ProxiedRequest:
        """Start a server transaction for a request."""
        proxied = ProxiedRequest(flow, request, key, ServerTransaction(invite=request.method == "INVITE"))
        proxied.came_by = self._listeners[flow.link.port]
        flow.served[key] = proxied
        return proxied

    def answer(self, proxied: ProxiedRequest, response: Response, data: bytes = b"") -> None:
        """Send a response, our own or a forwarded one, and end the server transaction if the response ends it.

        *data* is the encoded response, if it is known already. A response that is too long becomes a 502: what made it too long
        is the fault of its sender.
        """
        data = data or response.encode()
        if is_too_long(response, len(data)):
            if response.status < FIRST_FINAL:
                return
            response = respond(proxied.request, BAD_GATEWAY)
            data = response.encode()
        transaction, given = proxied.transaction, of_status(response.status)
        before = transaction.state
        if transaction.receive(given) is Do.SEND:
            proxied.flow.link.send(data)
        if given is Input.PROVISIONAL:
            return
        if transaction.over:
            counts = self.answered.get(proxied.request.method)
            if counts is not None:
                counts[min(response.status // 100, 6)] += 1
            self._drop_exchange(proxied)
        elif transaction.state is not before:
            self._call_ended(proxied, response.status)

    def _call_ended(self, proxied: ProxiedRequest, status: int) -> None:
        """Count the final response of an INVITE; keep only its key for the ACK if it was refused, otherwise drop its body."""
        if proxied.context is not None and proxied.request.to.tag is None:
            self.calls_ended[min(status // 100, 6)] += 1
        if proxied.transaction.state is TransactionState.COMPLETED:
            proxied.flow.refuse(proxied.key)
            self._drop_exchange(proxied)
            return
        proxied.hold(max(0, proxied.size - len(proxied.request.body)))
        proxied.request.body = b""
        self._served.add(proxied, self._clock())

    def forget(self, proxied: ProxiedRequest) -> None:
        """Serve a request no longer that has waited for something, and is about to be carried out."""
        self._drop_exchange(proxied)

    def forward(self, proxied: ProxiedRequest, outcome: Forward, loop: str) -> None:
        """Send the request to its targets."""
        proxied.identity, proxied.loop = outcome.identity, loop
        proxied.context = ResponseContext.of(proxied.request, outcome.targets)
        if proxied.context.invite:
            self.calls_started += proxied.request.to.tag is None
            if not proxied.context.by_token:
                self.answer(proxied, respond(proxied.request, 100))
        elif proxied.request.method == "BYE":
            self.calls.ended(proxied.request.call_id)
        self._perform(proxied, proxied.context.start())

    def pass_ack(self, came_on: Flow, request: Request, outcome: Forward) -> None:
        """Send the ACK of a 2xx to the target of its INVITE; an ACK has no response, so nothing is stored (RFC 3261 16.6)."""
        for target in outcome.targets:
            for way, name in ways_to(target):
                if self._send_ack(came_on, request, way, name, outcome.identity):
                    break

    def _send_ack(self, came_on: Flow, request: Request, way: Target, name: str, identity: str | None) -> bool:
        """Send an ACK by one way to its target; False if that way cannot be used."""
        if self._outages.names and self._outages.forbids(_server_of(way, name), has_others=True):
            return False
        found = self._flow_table.find(Start(0, way, name))
        if found is None or not found.link.usable:
            return False
        branch = self._branches.mint("ack")
        copy = self._copy_onto(found, request, way, branch, (), came_on, identity, hides_identity(request))
        data = copy.encode()
        if not found.link.has_room(len(data)) or is_too_long(copy, len(data)):
            return False
        found.link.send(data)
        self.calls.acknowledged(request.call_id)
        return True

    def acknowledged(self, proxied: ProxiedRequest) -> bool:
        """Process an ACK with the branch of its INVITE; return False for the ACK of a 2xx, which is forwarded to the callee.

        The ACK of another final response ends the server transaction.
        """
        is_ours = proxied.transaction.receive(Input.ACK) is not Do.PASS
        if proxied.transaction.over:
            self._drop_exchange(proxied)
        return is_ours

    def cancel(self, proxied: ProxiedRequest, reasons: tuple[str, ...]) -> None:
        """Cancel an INVITE for *reasons*, its Reason header fields (RFC 3326); it may still wait for its targets."""
        if proxied.context is not None:
            self._perform(proxied, proxied.context.cancel(reasons))
        else:
            self.answer(proxied, respond(proxied.request, REQUEST_TERMINATED))

    # Responses in

    def responded(self, flow: Flow, response: Response) -> bool:
        """Process a response that matches a branch; it must arrive on the link on which the request was sent.

        Returns False if no branch matches. Raises `RemoteError` for a response without a Via below ours: the sender of the
        request could not match it.
        """
        sent = flow.sent.get(response.top_via.branch or "")
        if sent is None or response.cseq.method != sent.request.method:
            return False
        try:
            self._admit(sent, response)
        except RemoteError:
            if is_to(response, sent.proxied.request):
                self._replace_malformed(sent, response)
            raise
        if response.status == FLOW_FAILED and (sent.is_carried or sent.flow.carrier is not None):
            self._flow_failed(sent)
        if sent.proxied.context is not None and sent.branch in sent.flow.sent:
            self._process_response(sent, sent.proxied.context, response)
        return True

    def _admit(self, sent: SentBranch, response: Response) -> None:
        """Make *response* one that may be forwarded. Raises `RemoteError` if that is not possible."""
        if not response.has_lower_via and sent.request.has_lower_via:
            raise RemoteError("a response without the Vias of its request", rule="RFC 3261 section 8.2.6.2")
        flow = sent.flow  # a carried flow shares the branches of the link by which it is reached
        if flow.sender is None:
            raise RemoteError("a response on a link without a sender", rule="R12")
        response.pop_item("via")
        if sent.request.method == "REGISTER":
            settle_registration(response, sent.proxied.request)
            self.access.answered(sent, response)
        else:
            settle(response, sent.proxied.request, flow.sender, self.border, self._flow_table.view.name)
        if flow.link.kind is LinkKind.CLIENT and not sent.is_carried:
            self._privacy.hide_answer(sent, response)
        if response.present & RECORD_ROUTE and response.status < 300:  # noqa: PLR2004 - only these create a dialog
            self._bind_answer(sent, response)

    def malformed(self, flow: Flow, response: Response) -> bool:
        """Process a response that breaks a rule, so that it cannot be forwarded; False if no branch matches.

        Raises `RemoteError` if its Via cannot be read. A CSeq that cannot be read is that of the branch, unless a CANCEL had
        the same branch.
        """
        sent = flow.sent.get(response.top_via.branch or "")
        if sent is None:
            return False
        try:
            is_ours = response.cseq.method == sent.request.method
        except RemoteError:
            is_ours = not sent.cancelled
        if is_ours:
            self._replace_malformed(sent, response)
        return is_ours

    def _replace_malformed(self, sent: SentBranch, response: Response) -> None:
        """Put another response in place of one that breaks a rule, and release its sender.

        A provisional response counts as 100. A final one becomes a 502: "The server, while acting as a gateway or proxy,
        received an invalid response from the downstream server" (RFC 3261 section 21.5.3).
        """
        proxied, context = sent.proxied, sent.proxied.context
        if context is None:
            return
        if TRYING <= response.status < FIRST_FINAL:
            self._process_response(sent, context, respond(proxied.request, TRYING))
            return
        given = of_status(response.status) if response.status >= TRYING else Input.FAILURE
        todo = sent.transaction.receive(given)
        if todo is Do.NOTHING:
            return
        self._release(sent, given, todo, readable_part(response, sent.request))
        self._watch(sent, given, BAD_GATEWAY)
        self._perform(proxied, context.responded(sent.number, explained(proxied.request, BAD_GATEWAY)))

    def _release(self, sent: SentBranch, given: Input, todo: Do, response: Response) -> None:
        """Acknowledge the final *response* of a branch in place of the caller, and end the call that it has begun.

        A call that was up before goes on: to its caller, the request has failed.
        """
        if todo is Do.ACK:
            sent.flow.link.send(ack_for(sent.request, response).encode())
        elif given is Input.SUCCESS and sent.request.method == "INVITE" and response.to.tag:
            tokens = self._tokens_in(sent, response)
            self._send_alone(sent.flow, ack_in_place_of_caller(sent.request, response, tokens))
            if sent.request.to.tag is None:
                self._send_alone(sent.flow, bye_in_place_of_caller(sent.request, response, tokens, MALFORMED))

    def _flow_failed(self, sent: SentBranch) -> None:
        """End a carried flow that the next server does not know any more; at its home pool, its branches fail with it."""
        if sent.flow.carrier is not None:
            sent.flow.link.close("its client has gone")
        else:
            self.access.flow_failed(sent)

    def _process_response(self, sent: SentBranch, context: ResponseContext, response: Response) -> None:
        given = of_status(response.status)
        todo = sent.transaction.receive(given)
        refused = self._media.refused_response(sent, response) if response.body else None
        if refused is not None and todo is not Do.NOTHING:
            self._watch(sent, given, response.status)
            self._refuse_media(sent, context, response, refused)
            return
        if given is Input.SUCCESS and context.invite and sent.proxied.request.to.tag is None:
            self.calls.began(sent.proxied.request, sent.proxied.flow, sent.flow, self._clock())
        if todo is Do.ACK:
            sent.flow.link.send(ack_for(sent.request, response).encode())
        self._watch(sent, given, response.status)
        if todo is Do.NOTHING:
            return
        self._perform(sent.proxied, context.responded(sent.number, response))

    def _refuse_media(self, sent: SentBranch, context: ResponseContext, response: Response, refused: Answer) -> None:
        """Answer the caller instead of *response*, and release the callee: by CANCEL, or by a BYE if it has accepted."""
        proxied = sent.proxied
        warning = self._media.record(sent.flow, proxied.request, refused)
        headers = (*refused.headers, ("Warning", warning))
        refusal = respond(proxied.request, refused.status, headers=headers)
        if response.status < FIRST_FINAL:
            self._perform(proxied, context.refuse(sent.number, refusal, (REASON,)))
            return
        tokens = self._tokens_in(sent, response)
        if sent.request.method == "INVITE":
            self._send_alone(sent.flow, ack_in_place_of_caller(sent.request, response, tokens))
        self._send_alone(sent.flow, bye_in_place_of_caller(sent.request, response, tokens))
        self._perform(proxied, context.responded(sent.number, refusal))

    def _tokens_in(self, sent: SentBranch, response: Response) -> tuple[str, ...]:
        """Return the tokens that our Record-Route in *response* may have: as it was sent, and with the callee's tag."""
        if not creates_dialog(sent.proxied.request):
            return ()
        token = recorded_token(sent.request)
        if sent.is_carried:
            return (token,)
        return token, self._tokens.answered(token, response.to.tag or "")

    def end_call(self, flow: Flow, ack: Request, outcome: Forward) -> None:
        """End a call whose ACK was refused: with the callee by that way, and with the caller if its INVITE is known."""
        self.pass_ack(flow, without_body(ack), outcome)
        self.pass_ack(flow, bye_after_ack(ack), outcome)
        self.calls.ended(ack.call_id)
        for proxied in islice(reversed(flow.served.values()), MOST_SEARCHED):
            invite = proxied.request
            if invite.method == "INVITE" and invite.call_id == ack.call_id and invite.cseq.number == ack.cseq.number:
                bye = bye_in_place_of_callee(invite, ack)
                if bye is not None:
                    self._send_alone(flow, bye)
                return

    def _send_alone(self, flow: Flow, request: Request) -> None:
        """Send a request of our own, whose response nobody waits for."""
        if flow.path:
            request.prepend("route", flow.path)
        request.prepend("via", self._via(flow.link.port, self._branches.mint("own")))
        data = request.encode()
        if flow.link.usable and flow.link.has_room(len(data)):
            flow.link.send(data)

    def _watch(self, sent: SentBranch, given: Input, status: int) -> None:
        """Move the branch to the deadline that applies now.

        Timer C starts again with each response from 101 to 199, "but not 100" (RFC 3261 section 16.7 item 2).
        """
        if given is Input.PROVISIONAL:
            is_ringing = sent.request.method == "INVITE" and sent.transaction.state is TransactionState.PROCEEDING
            if is_ringing and (status > TRYING or sent.due is not self._ringing):
                self._restart_timer_c(sent)
            return
        if sent.due is not self._lingering:  # otherwise another final response to the same INVITE
            waits = self.invite_waits if sent.request.method == "INVITE" else self.waits
            waits.add(self._clock() - sent.began)
        if sent.transaction.over:
            self._drop_branch(sent)
        else:
            sent.settle()
            self._await(sent, self._lingering)

    def _restart_timer_c(self, sent: SentBranch) -> None:
        """Restart timer C, unless the branch was cancelled: then its final response is due."""
        if not sent.cancelled:
            self._await(sent, self._ringing)

    def _await(self, sent: SentBranch, until: TimeoutQueue[SentBranch]) -> None:
        """Give the branch a new deadline, in place of its present one; its waiting time starts with its first deadline."""
        now = self._clock()
        if sent.due is None:
            sent.began = now
        else:
            sent.due.discard(sent)
        sent.due = until
        until.add(sent, now)

    # Links

    def flow_ended(self, flow: Flow) -> None:
        """End the requests and branches of a carried *flow*; the link that carries it stays."""
        for proxied in [proxied for proxied in flow.served.values() if proxied.flow is flow]:
            self._abandon(proxied)
        for sent in [sent for sent in flow.sent.values() if sent.flow is flow]:
            self._lose(sent)

    def link_down(self, flow: Flow) -> None:
        """Fail every branch that was sent on this link, and cancel the requests that were received on it."""
        for proxied in list(flow.served.values()):
            self._abandon(proxied)
        for sent in list(flow.sent.values()):
            self._lose(sent)

    def _lose(self, sent: SentBranch) -> None:
        """Fail a branch whose link is gone."""
        context, pending = sent.proxied.context, sent.transaction.pending
        self._drop_branch(sent)
        if context is not None and pending:
            self._perform(sent.proxied, context.lost(sent.number))

    def _abandon(self, proxied: ProxiedRequest) -> None:
        """Stop a request whose sender is gone: cancel an INVITE that rings; other branches run until they time out."""
        self._drop_exchange(proxied)
        if proxied.context is not None and proxied.context.invite and not proxied.context.answered:
            self._perform(proxied, proxied.context.cancel())

    # The end of this server

    def waits_on(self, flow: Flow) -> bool:
        """Tell whether a final response is still to come or to go on *flow*."""
        for proxied in flow.served.values():
            if not proxied.is_answered:
                return True
        return any(sent.waits and not sent.proxied.is_answered for sent in flow.sent.values())

    def give_up(self, retry_after_s: str) -> int:
        """Answer 503 to each request that still waits for its final response; gives their number."""
        given_up = 0
        for flow in self._flow_table.sessions():
            for proxied in list(flow.served.values()):
                if proxied.context is None:  # its user is being looked up, or its registration stored
                    headers = (("Retry-After", retry_after_s),)
                    self.answer(proxied, respond(proxied.request, 503, headers=headers))
                    given_up += 1
                elif not proxied.context.answered:
                    self._perform(proxied, proxied.context.give_up(retry_after_s))
                    given_up += 1
        return given_up

    # Effects

    def _perform(self, proxied: ProxiedRequest, effects: list[Effect]) -> None:
        """Carry out *effects* in order; a target that cannot be reached causes further effects."""
        for effect in effects:
            if isinstance(effect, Start):
                self._start(proxied, effect)
            elif isinstance(effect, SendResponse):
                self._reply(proxied, effect.response)
            elif isinstance(effect, Cancel):
                self._cancel_branch(proxied.sent.get(effect.number), effect.reasons)
            elif isinstance(effect, Forget):
                self._forget(effect.target.binding)
            elif isinstance(effect, AwaitSilent):
                if proxied not in self._silent:
                    self._silent.add(proxied, self._clock())
            else:
                self._drop_exchange(proxied)

    def _start(self, proxied: ProxiedRequest, start: Start) -> None:
        if self._outages.names and self._is_forbidden(proxied, start):
            self._unreachable(proxied, start)
            return
        flow = self._flow_table.find(start)
        if flow is None or not flow.link.usable:
            self._unreachable(proxied, start)
            return
        branch = self._branches.mint(proxied.loop)
        try:
            copy = self._copy(proxied, start.target, flow, branch)
        except RemoteError:  # the request was checked when it arrived
            self._unreachable(proxied, start)
            return
        data = copy.encode()
        size = len(data)
        if is_too_long(copy, size):
            self._refuse_branch(proxied, start, MESSAGE_TOO_LARGE)
            return
        if not flow.link.has_room(size):
            self._no_room(proxied, start, flow.link, size)
            return
        sent = SentBranch(proxied, start.number, branch, flow, copy, ClientTransaction(invite=copy.method == "INVITE"))
        sent.is_carried = is_carried(start.target)
        flow.sent[branch] = proxied.sent[start.number] = sent
        if not proxied.size:
            proxied.hold(size)
        sent.count(size + BRANCH_OCTETS)
        self._await(sent, self._unanswered)
        flow.link.send(data)

    def _is_forbidden(self, proxied: ProxiedRequest, start: Start) -> bool:
        """Tell whether a branch may not go to its server, which does not answer at the moment (RFC 3263 section 4.3)."""
        context = proxied.context
        has_others = context is not None and bool(context.branches[start.number].ways)
        return self._outages.forbids(_server_of(start.target, start.name), has_others=has_others)

    def _unreachable(self, proxied: ProxiedRequest, start: Start) -> None:
        if proxied.context is not None:
            self._perform(proxied, proxied.context.lost(start.number))

    def _no_room(self, proxied: ProxiedRequest, start: Start, link: Link, size: int) -> None:
        """Fail a branch for which *link* has no room: 413 if it can never have room, otherwise like an unreachable target.

        A flow target gets 480 instead of 430: the flow exists, and 430 would remove its binding.
        """
        if not link.can_hold(size):
            self._refuse_branch(proxied, start, TOO_LARGE_A_BODY)
        elif lost_status(start.target) == FLOW_FAILED:
            self._refuse_branch(proxied, start, TEMPORARILY_UNAVAILABLE)
        else:
            self._unreachable(proxied, start)

    def _refuse_branch(self, proxied: ProxiedRequest, start: Start, status: int) -> None:
        """Treat a request that is not sent as if the next hop had answered it with *status*."""
        if proxied.context is not None:
            refusal = respond(proxied.request, status)
            self._perform(proxied, proxied.context.responded(start.number, refusal))

    def _copy(self, proxied: ProxiedRequest, target: Target, flow: Flow, branch: str) -> Request:
        hidden = hides_identity(proxied.request)
        recorded: tuple[str, ...] = ()
        if proxied.came_by is not None and creates_dialog(proxied.request):
            token = path_by(target, flow)
            if not token:
                sides = self._came_from(proxied), self._goes_to(target, flow)
                secret = hidden or is_to_hidden_user(proxied.request)
                token = self._tokens.dialog(*sides, self._begun(proxied), secret=secret)
            recorded = record_routes(proxied.request, token, proxied.came_by, self._listeners[flow.link.port])
        copy = self._copy_onto(flow, proxied.request, target, branch, recorded, proxied.flow, proxied.identity, hidden)
        if proxied.context is not None and proxied.context.share:
            copy.replace("max-breadth", str(proxied.context.share))
        return copy

    def _copy_onto(
        self,
        flow: Flow,
        request: Request,
        target: Target,
        branch: str,
        recorded: tuple[str, ...],
        came_on: Flow,
        identity: str | None,
        hidden: bool,  # noqa: FBT001 - for each request
    ) -> Request:
        """Copy a request that *identity* has sent on *came_on*, as the peer of *flow* may see it.

        *hidden*: the sender is hidden from clients (`hides_identity`).
        """
        kind = flow.link.kind
        released = released_identity(identity, kind, hidden=hidden)
        via = self._via(flow.link.port, branch)
        copy = branch_copy(request, target, via=via, recorded=recorded, identity=released)
        self._privacy.open_contact(copy, target)
        if hidden and not is_carried(target):
            self._privacy.hide_sender(copy, came_on, identity, kind)
        if copy.present & ON_THE_WAY_OUT and copy.method != "REGISTER":  # that goes to the home pool of its user
            self._strip(copy, flow)
        if flow.path:
            copy.prepend("route", flow.path)
        return copy

    def _strip(self, copy: Request, flow: Flow) -> None:
        """Remove what the peer of *flow* may not see."""
        self.border.release(copy, flow.link.kind, self._flow_table.domains_of(flow), private=hides_history(copy))

    def _bind_answer(self, sent: SentBranch, response: Response) -> None:
        """Put the callee's tag into our dialog token in a response, for the initiator of the dialog."""
        if response.to.tag is not None and creates_dialog(sent.proxied.request) and not sent.is_carried:
            token = recorded_token(sent.request)
            renew_token(response, token, self._tokens.answered(token, response.to.tag))

    def _begun(self, proxied: ProxiedRequest) -> Begun:
        """Return the state of the dialog that the request starts; it is the same on all branches."""
        begun, request = proxied.begun, proxied.request
        if begun is None:
            target = contact_host(request)
            caller, callee = request.from_.aor, request.to.aor
            begun = proxied.begun = self._tokens.begun(request.call_id, request.from_.tag or "", caller, callee, target)
        return begun

    def _came_from(self, proxied: ProxiedRequest) -> Side:
        sender = proxied.flow.sender
        if sender is None:
            raise RemoteError("a request on a link without a sender", rule="R12", status=403)
        return sender.side(proxied.identity or "")

    def _goes_to(self, target: Target, flow: Flow) -> Side:
        if isinstance(target, FlowTarget):
            return FlowSide(self._tokens.incarnation, flow.number, target.owner)
        if isinstance(target, RemoteFlowTarget):
            return named_side(self._flow_table.pool_of(target.binding.host))
        return named_side(self._flow_table.side_name(flow.link))

    def _via(self, port: str, branch: str) -> str:
        return f"{self._vias[port]}{branch}"

    def _reply(self, proxied: ProxiedRequest, response: Response) -> None:
        kind = proxied.flow.link.kind
        if kind is LinkKind.PARTNER or (kind is LinkKind.CLIENT and hides_answerer(response)):
            assert_identity(response, None)
        link, data = proxied.flow.link, response.encode()
        if not link.has_room(len(data)) and link.usable:
            if response.status < FIRST_FINAL:  # the sender does not need a provisional response
                return
            status = 500 if link.can_hold(len(data)) else MESSAGE_TOO_LARGE
            response = respond(proxied.request, status)
            data = response.encode()
        self.answer(proxied, response, data)

    def _cancel_branch(self, sent: SentBranch | None, reasons: tuple[str, ...]) -> None:
        """Send CANCEL after the INVITE; the final response to the INVITE is due within 64*T1 then."""
        if sent is None or not sent.transaction.pending:
            return
        sent.cancelled = True
        self._await(sent, self._unanswered)
        sent.flow.link.send(cancel_for(sent.request, reasons).encode())

    # Ends

    def _timed_out(self, sent: SentBranch) -> None:
        """Handle timers B, C and F: no final response has arrived."""
        context = sent.proxied.context
        effects = context.timed_out(sent.number) if context is not None else []
        self._perform(sent.proxied, effects)
        if sent not in self._unanswered:  # otherwise a CANCEL has just been sent, and the INVITE will be answered
            self.unanswered += 1
            self._drop_branch(sent)

    def _leave_silent(self, proxied: ProxiedRequest) -> None:
        """Answer without the phones that are silent, if nothing else is left to wait for."""
        self._silent.discard(proxied)
        if proxied.context is not None:
            self._perform(proxied, proxied.context.leave_silent())

    def _drop_branch(self, sent: SentBranch) -> None:
        sent.forget()
        if sent.due is not None:
            sent.due.discard(sent)
        if sent.branch in sent.flow.sent:
            del sent.flow.sent[sent.branch]
        if sent.number in sent.proxied.sent:
            del sent.proxied.sent[sent.number]

    def _drop_exchange(self, proxied: ProxiedRequest) -> None:
        if proxied.size:
            proxied.hold(0)
        self._served.discard(proxied)
        self._silent.discard(proxied)
        if proxied.flow.served.get(proxied.key) is proxied:
            del proxied.flow.served[proxied.key]


def is_carried(target: Target) -> bool:
    """Tell whether a branch passes between a user's link here and the home pool of this user, which judges it."""
    if isinstance(target, FlowTarget):
        return target.found is Found.PATH
    return isinstance(target, ServerTarget) and target.carries is not None


def path_by(target: Target, flow: Flow) -> str:
    """Give the token for our Record-Route in a dialog of a carried user, which leads to its link; "" for other dialogs."""
    if isinstance(target, ServerTarget):
        return target.carries.path if target.carries is not None else ""
    if isinstance(target, FlowTarget) and target.found is Found.PATH:
        return next(login.path for login in flow.logins.values() if owner_hash(login.user) == target.owner)
    return ""


def _server_of(target: Target, name: str) -> str:
    """The server of ours that a branch goes to; empty where it goes to a phone on this server or to a partner."""
    if isinstance(target, RemoteFlowTarget):
        return target.binding.host
    return name if isinstance(target, ServerTarget) and target.kind is LinkKind.SERVER else ""
