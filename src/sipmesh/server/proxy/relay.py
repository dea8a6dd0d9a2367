"""Carries out what routing decided: requests out on branches, responses back, CANCEL and ACK after them (RFC 3261 section 16)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.border import ON_THE_WAY_OUT, Border
from sipmesh.routing.identity.dialog_token import Begun, FlowSide, Side, Tokens
from sipmesh.routing.identity.response_policy import settle
from sipmesh.routing.identity.sender import named_side
from sipmesh.routing.proxy.forwarding import (
    ListenerAddress,
    assert_identity,
    branch_copy,
    contact_host,
    creates_dialog,
    hides_history,
    identity_for,
    record_routes,
    recorded_token,
    renew_token,
)
from sipmesh.routing.proxy.response_context import (
    FLOW_FAILED,
    TEMPORARILY_UNAVAILABLE,
    Cancel,
    Effect,
    Forget,
    ResponseContext,
    SendResponse,
    Start,
    lost_status,
    ways_to,
)
from sipmesh.routing.target import FlowTarget, RemoteFlowTarget, Target
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

    from sipmesh.routing.outcome import Forward
    from sipmesh.routing.proxy.branch import Branches
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.transport.link.link import Link

TOO_LARGE_A_BODY: Final = 413

FINAL_S: Final = Timer.F.seconds
"""Timers B, F, H, L and M are all as long (RFC 3261 section 17, RFC 6026)."""

FIRST_FINAL: Final = 200
BAD_GATEWAY: Final = 502
MESSAGE_TOO_LARGE: Final = 513
REQUEST_TERMINATED: Final = 487


def is_too_long(message: Message, size: int) -> bool:
    """Tell whether a message of *size* octets holds a header that a reader like ours would refuse.

    Every hop adds to a message. So each server measures what it is about to send, and no peer has to close a link for it.
    """
    return len(message.rows) > MAX_ROWS or (size > MAX_HEADER and size - len(message.body) > MAX_HEADER)


class Relay:
    """Every exchange of one server, and the deadlines of all of them.

    *forget* is told of bindings whose flow turned out to be gone. *border* is that of the topology in force.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        flow_table: FlowTable,
        forget: Callable[[Binding], None],
        tokens: Tokens,
        branches: Branches,
        listeners: dict[LinkKind, ListenerAddress],
        border: Border,
    ) -> None:
        self.border = border
        self._clock: Callable[[], float] = loop.time
        self._flow_table, self._forget = flow_table, forget
        self._tokens, self._branches, self._listeners = tokens, branches, listeners
        self._vias = {kind: f"SIP/2.0/TLS {listener.sent_by};branch=" for kind, listener in listeners.items()}
        self._unanswered: TimeoutQueue[SentBranch] = TimeoutQueue(FINAL_S, self._timed_out)
        self._ringing: TimeoutQueue[SentBranch] = TimeoutQueue(Timer.C.seconds, self._timed_out)
        self._lingering: TimeoutQueue[SentBranch] = TimeoutQueue(FINAL_S, self._drop_branch)
        self._served: TimeoutQueue[ProxiedRequest] = TimeoutQueue(FINAL_S, self._drop_exchange)
        self.waits, self.invite_waits = LatencyHistogram(), LatencyHistogram()
        self.unanswered = self.calls_started = 0
        self.calls_ended = [0] * 7  # first final responses to them, by the first digit

    def __repr__(self) -> str:
        return f"<Relay {len(self._unanswered)} unanswered, {len(self._ringing)} ringing, {len(self._served)} ending>"

    @property
    def load(self) -> int:
        """How many branches wait for their final response."""
        return len(self._unanswered) + len(self._ringing)

    def sweep(self) -> None:
        """AuditAct on every deadline that has passed."""
        now = self._clock()
        for expiry in (self._unanswered, self._ringing):
            expiry.sweep(now)
        self._lingering.sweep(now)
        self._served.sweep(now)

    # Requests in

    def open(self, flow: Flow, request: Request, key: str) -> ProxiedRequest:
        """Begin to serve a request; an INVITE is told at once that we are trying (RFC 3261 section 17.2.1)."""
        proxied = ProxiedRequest(flow, request, key, ServerTransaction(invite=request.method == "INVITE"))
        proxied.came_by = self._listeners[flow.link.kind]
        flow.served[key] = proxied
        return proxied

    def answer(self, proxied: ProxiedRequest, response: Response, data: bytes = b"") -> None:
        """Send a response of our own or one that came back, and end the server transaction where it ends.

        *data* is the response as it goes out, where that is known already. What a response became too long by (the Vias that
        it left out, challenges of others) is its sender's fault: 502.
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
            self._drop_exchange(proxied)
        elif transaction.state is not before:
            self._call_ended(proxied, response.status)

    def _call_ended(self, proxied: ProxiedRequest, status: int) -> None:
        """An INVITE has its final response: of a refused one nothing is needed but to know its ACK, of another no body."""
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
        """Send the request on to its targets."""
        proxied.identity, proxied.loop = outcome.identity, loop
        proxied.context = ResponseContext.of(proxied.request, outcome.targets)
        if proxied.context.invite:
            self.calls_started += proxied.request.to.tag is None
            self.answer(proxied, respond(proxied.request, 100))
        self._perform(proxied, proxied.context.start())

    def pass_ack(self, request: Request, outcome: Forward) -> None:
        """Send the ACK of a 2xx after its INVITE; nothing answers an ACK, so nothing is kept (RFC 3261 section 16.6)."""
        for target in outcome.targets:
            for way, name in ways_to(target):
                found = self._flow_table.find(Start(0, way, name))
                if found is not None and found.link.usable:
                    via = self._via(found.link.kind, self._branches.mint("ack"))
                    identity = identity_for(outcome.identity, found.link.kind, request)
                    copy = branch_copy(request, way, via=via, recorded=(), identity=identity)
                    if copy.present & ON_THE_WAY_OUT:
                        self._release(copy, found)
                    data = copy.encode()
                    if found.link.has_room(len(data)) and not is_too_long(copy, len(data)):
                        found.link.send(data)
                        break

    def acknowledged(self, proxied: ProxiedRequest) -> bool:
        """An ACK has come in under the branch of its INVITE; False if it is that of a 2xx, which goes on to the callee.

        That of any other final response ends the INVITE on this side.
        """
        taken = proxied.transaction.receive(Input.ACK) is not Do.PASS
        if proxied.transaction.over:
            self._drop_exchange(proxied)
        return taken

    def cancel(self, proxied: ProxiedRequest, reasons: tuple[str, ...]) -> None:
        """The sender of an INVITE took it back, for *reasons* (RFC 3326); it may still wait for its targets."""
        if proxied.context is not None:
            self._perform(proxied, proxied.context.cancel(reasons))
        else:
            self.answer(proxied, respond(proxied.request, REQUEST_TERMINATED))

    # Responses in

    def responded(self, flow: Flow, response: Response) -> bool:
        """Match a response with its branch, on the link that the request went out on and on no other.

        False if none of ours waits for it there. Raises `RemoteError` for one that holds no Via but ours: whoever sent the
        request would not know it again.
        """
        sent = flow.sent.get(response.top_via.branch or "")
        if sent is None or response.cseq.method != sent.request.method:
            return False
        if not response.has_lower_via:
            raise RemoteError("a response without the Vias of its request", rule="RFC 3261 section 8.2.6.2")
        if flow.sender is None:
            raise RemoteError("a response on a link without a sender", rule="R12")
        response.pop_item("via")
        settle(response, sent.proxied.request, flow.sender, self.border, self._flow_table.view.name)
        if response.present & RECORD_ROUTE and response.status < 300:  # noqa: PLR2004 - what makes a dialog
            self._bind_answer(sent, response)
        if sent.proxied.context is not None:
            self._take(sent, sent.proxied.context, response)
        return True

    def _take(self, sent: SentBranch, context: ResponseContext, response: Response) -> None:
        given = of_status(response.status)
        todo = sent.transaction.receive(given)
        if todo is Do.ACK:
            sent.flow.link.send(ack_for(sent.request, response).encode())
        self._watch(sent, given)
        if todo is Do.NOTHING:
            return
        self._perform(sent.proxied, context.responded(sent.number, response))

    def _watch(self, sent: SentBranch, given: Input) -> None:
        """Move the branch to the deadline that counts from here on."""
        if given is Input.PROVISIONAL:
            if sent.request.method == "INVITE" and sent.transaction.state is TransactionState.PROCEEDING:
                self._ring(sent)
            return
        if sent.due is not self._lingering:  # else another final response to the same INVITE
            waits = self.invite_waits if sent.request.method == "INVITE" else self.waits
            waits.add(self._clock() - sent.began)
        if sent.transaction.over:
            self._drop_branch(sent)
        else:
            sent.settle()
            self._await(sent, self._lingering)

    def _ring(self, sent: SentBranch) -> None:
        """Timer C begins anew, unless the branch was cancelled: then its final response is due."""
        if not sent.cancelled:
            self._await(sent, self._ringing)

    def _await(self, sent: SentBranch, until: TimeoutQueue[SentBranch]) -> None:
        """Give the branch another deadline in place of the one it has; with its first one it begins to wait."""
        now = self._clock()
        if sent.due is None:
            sent.began = now
        else:
            sent.due.discard(sent)
        sent.due = until
        until.add(sent, now)

    # Links

    def link_down(self, flow: Flow) -> None:
        """Every branch that went out on this link is lost; every exchange that came in on it has nobody to answer."""
        for proxied in list(flow.served.values()):
            self._abandon(proxied)
        for sent in list(flow.sent.values()):
            context = sent.proxied.context
            pending = sent.transaction.pending
            self._drop_branch(sent)
            if context is not None and pending:
                self._perform(sent.proxied, context.lost(sent.number))

    def _abandon(self, proxied: ProxiedRequest) -> None:
        """Nobody waits for the answer any more: take an INVITE back where it rings, let the rest run out."""
        self._drop_exchange(proxied)
        if proxied.context is not None and proxied.context.invite and not proxied.context.answered:
            self._perform(proxied, proxied.context.cancel())

    # Effects

    def _perform(self, proxied: ProxiedRequest, effects: list[Effect]) -> None:
        """Carry out *effects* in order; a target that cannot be reached at once yields further ones."""
        for effect in effects:
            if isinstance(effect, Start):
                self._start(proxied, effect)
            elif isinstance(effect, SendResponse):
                self._reply(proxied, effect.response)
            elif isinstance(effect, Cancel):
                self._cancel_branch(proxied.sent.get(effect.number), effect.reasons)
            elif isinstance(effect, Forget):
                self._forget(effect.target.binding)
            else:
                self._drop_exchange(proxied)

    def _start(self, proxied: ProxiedRequest, start: Start) -> None:
        flow = self._flow_table.find(start)
        if flow is None or not flow.link.usable:
            self._unreachable(proxied, start)
            return
        branch = self._branches.mint(proxied.loop)
        try:
            copy = self._copy(proxied, start.target, flow, branch)
        except RemoteError:  # what could be wrong with it was looked for when it came
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
        flow.sent[branch] = proxied.sent[start.number] = sent
        if not proxied.size:
            proxied.hold(size)
        sent.count(size + BRANCH_OCTETS)
        self._await(sent, self._unanswered)
        flow.link.send(data)

    def _unreachable(self, proxied: ProxiedRequest, start: Start) -> None:
        if proxied.context is not None:
            self._perform(proxied, proxied.context.lost(start.number))

    def _no_room(self, proxied: ProxiedRequest, start: Start, link: Link, size: int) -> None:
        """End a branch for which *link* has no room: 413 if it never has, otherwise as if the way to its target were lost.

        The flow itself is not gone: 430 would have its binding forgotten, so 480 stands in its place.
        """
        if not link.can_hold(size):
            self._refuse_branch(proxied, start, TOO_LARGE_A_BODY)
        elif lost_status(start.target) == FLOW_FAILED:
            self._refuse_branch(proxied, start, TEMPORARILY_UNAVAILABLE)
        else:
            self._unreachable(proxied, start)

    def _refuse_branch(self, proxied: ProxiedRequest, start: Start, status: int) -> None:
        """Answer a request that is not sent on, as if the next hop had answered it with *status*."""
        if proxied.context is not None:
            refusal = respond(proxied.request, status)
            self._perform(proxied, proxied.context.responded(start.number, refusal))

    def _copy(self, proxied: ProxiedRequest, target: Target, flow: Flow, branch: str) -> Request:
        kind = flow.link.kind
        recorded: tuple[str, ...] = ()
        if proxied.came_by is not None and creates_dialog(proxied.request):
            sides = self._came_from(proxied), self._goes_to(target, flow)
            token = self._tokens.dialog(*sides, self._begun(proxied))
            recorded = record_routes(proxied.request, token, proxied.came_by, self._listeners[kind])
        identity = identity_for(proxied.identity, kind, proxied.request)
        via = self._via(kind, branch)
        copy = branch_copy(proxied.request, target, via=via, recorded=recorded, identity=identity)
        if copy.present & ON_THE_WAY_OUT:
            self._release(copy, flow)
        return copy

    def _release(self, copy: Request, flow: Flow) -> None:
        """Take away what the peer of *session* may not see."""
        self.border.release(copy, flow.link.kind, self._flow_table.domains_of(flow), private=hides_history(copy))

    def _bind_answer(self, sent: SentBranch, response: Response) -> None:
        """Give the initiator of a dialog our token with the tag under which the other side has answered."""
        if response.to.tag is not None and creates_dialog(sent.proxied.request):
            token = recorded_token(sent.request)
            renew_token(response, token, self._tokens.answered(token, response.to.tag))

    def _begun(self, proxied: ProxiedRequest) -> Begun:
        """What the dialog begins with that an exchange opens: the same on each of its branches."""
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
            return named_side(self._flow_table.pool_of(target.binding.server))
        return named_side(self._flow_table.side_name(flow.link))

    def _via(self, kind: LinkKind, branch: str) -> str:
        return f"{self._vias[kind]}{branch}"

    def _reply(self, proxied: ProxiedRequest, response: Response) -> None:
        if identity_for("", proxied.flow.link.kind, response) is None:
            assert_identity(response, None)
        link, data = proxied.flow.link, response.encode()
        if not link.has_room(len(data)) and link.usable:
            if response.status < FIRST_FINAL:  # its sender can do without a provisional one
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
        """Timers B, C and F: no final response."""
        context = sent.proxied.context
        effects = context.timed_out(sent.number) if context is not None else []
        self._perform(sent.proxied, effects)
        if sent not in self._unanswered:  # else a CANCEL has just gone out, and its INVITE is answered yet
            self.unanswered += 1
            self._drop_branch(sent)

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
        if proxied.flow.served.get(proxied.key) is proxied:
            del proxied.flow.served[proxied.key]
