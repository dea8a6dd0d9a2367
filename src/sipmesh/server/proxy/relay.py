"""Carries out what routing decided: sends branches, responses and CANCEL (RFC 3261 16)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.response_policy import is_to
from sipmesh.routing.proxy.effects import (
    AwaitAnswer,
    AwaitSilent,
    Cancel,
    DecideAgain,
    Divert,
    Effect,
    EndScreening,
    Forget,
    SendResponse,
    Silence,
    Start,
)
from sipmesh.routing.proxy.own_responses import explained
from sipmesh.routing.proxy.release import REASON, readable_part
from sipmesh.routing.proxy.response_context import ResponseContext
from sipmesh.server.proxy.branch_sender import LOST, SENT
from sipmesh.server.proxy.bridging.bridges import OFFERS
from sipmesh.server.proxy.bridging.held_messages import BridgedBranches, HeldOffer, HeldTable
from sipmesh.server.proxy.flow import MOST_FORWARDED, MOST_RESPONSES
from sipmesh.sip.message import Response, respond
from sipmesh.sip.status import FIRST_FINAL, FLOW_FAILED, SERVICE_UNAVAILABLE, TRYING, Status
from sipmesh.sip.transaction.ack import ack_for
from sipmesh.sip.transaction.state import Do, Input, of_status

if TYPE_CHECKING:
    from sipmesh.routing.outcome import Answer, Forward
    from sipmesh.server.proxy.branch_sender import BranchSender
    from sipmesh.server.proxy.calls.established_calls import EstablishedCalls
    from sipmesh.server.proxy.calls.media_guard import MediaGuard
    from sipmesh.server.proxy.flow import Flow, ProxiedRequest, SentBranch
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.login.access_proxy import AccessProxy
    from sipmesh.server.proxy.message_refusals import MessageRefusals
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.proxy.response_admission import ResponseAdmission
    from sipmesh.server.proxy.rtpengine.bridge import Bridge
    from sipmesh.server.proxy.rtpengine.control_socket import Fault
    from sipmesh.server.proxy.transactions.client_transactions import ClientTransactions
    from sipmesh.server.proxy.transactions.ring_times import RingingCall
    from sipmesh.server.proxy.transactions.server_transactions import ServerTransactions
    from sipmesh.transport.link.link import Link


FORGOTTEN_AT_ONCE: Final = 128
"""Transactions that are forgotten in one turn of the event loop: half a millisecond."""


class Relay(BridgedBranches):
    """The way of each request through this server: from its server transaction to its branches, and of the responses back.

    *clock* gives loop time in seconds. *registrations* forget the bindings whose flow is gone. *calls* are the calls that are up.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        flow_table: FlowTable,
        registrations: Registrations,
        access: AccessProxy,
        admission: ResponseAdmission,
        server_transactions: ServerTransactions,
        client_transactions: ClientTransactions,
        sender: BranchSender,
        media: MediaGuard,
        refusals: MessageRefusals,
        calls: EstablishedCalls,
    ) -> None:
        self.server_transactions, self.client_transactions = server_transactions, client_transactions
        self._clock, self._flow_table, self._registrations = clock, flow_table, registrations
        self._access, self._admission, self._sender = access, admission, sender
        self._media, self._refusals, self.calls = media, refusals, calls
        self._records, self._bridges, self._release = calls.records, calls.bridges, calls.release
        self.calls_started = 0
        self._held = HeldTable(self, calls.bridges)
        self._served_before: list[ProxiedRequest] = []  # of closed links
        self._sent_before: list[SentBranch] = []

    @property
    def load(self) -> int:
        """How many branches wait for their final response."""
        return self.client_transactions.load

    def sweep(self, most: int) -> bool:
        """Handle *most* deadlines that have passed, and what is left of closed links; return whether there may be more."""
        now = self._clock()
        self.calls.sweep(now)
        while most > 0 and (sent := self.client_transactions.pop_timed_out(now)) is not None:
            self._timed_out(sent)
            most -= 1
        while most > 0 and (proxied := self.server_transactions.silent.pop_expired(now)) is not None:
            self._leave_silent(proxied)
            most -= 1
        while most > 0 and (rung := self.server_transactions.ringing.pop_rung_out(now)) is not None:
            self._rung_out(rung)
            most -= 1
        most = self.client_transactions.sweep(now, most)
        most = self.server_transactions.sweep(now, most)
        return most == 0 or self._forget_closed(most)

    def _forget_closed(self, most: int) -> bool:
        """Forget *most* transactions of closed links; return whether there are more."""
        while most > 0 and self._served_before:
            self.server_transactions.drop(self._served_before.pop())
            most -= 1
        while most > 0 and self._sent_before:
            self.client_transactions.drop(self._sent_before.pop())
            most -= 1
        return most == 0

    def _timed_out(self, sent: SentBranch) -> None:
        """Handle timers B, C and F: no final response has arrived."""
        context = sent.proxied.context
        self.calls.answered(sent, Status.REQUEST_TIMEOUT)
        self._perform(sent.proxied, context.timed_out(sent.number) if context is not None else [])
        self.client_transactions.timed_out(sent)

    def _leave_silent(self, proxied: ProxiedRequest) -> None:
        """Answer without the phones that are silent, if only these are left to wait for."""
        if proxied.context is not None:
            self._perform(proxied, proxied.context.leave_silent())

    def _rung_out(self, rung: RingingCall) -> None:
        """Call where the rules of the callee say, unless the call was answered."""
        proxied = rung.proxied
        if proxied.context is not None and proxied.flow.served.get(proxied.key) is proxied:
            self._perform(proxied, proxied.context.rung_out(rung.handling))

    # Requests in

    def forward(self, proxied: ProxiedRequest, outcome: Forward) -> None:
        """Send the request to its targets."""
        proxied.identity = outcome.identity
        proxied.context = ResponseContext.of(proxied.request, outcome.targets, outcome.otherwise)
        if proxied.context.invite:
            self.calls_started += proxied.request.to.tag is None
            if not proxied.context.by_token:
                self.server_transactions.answer(proxied, respond(proxied.request, TRYING))
        context = proxied.context
        self._perform(proxied, context.start() if context.handling is None else context.begin())

    def diverted(self, proxied: ProxiedRequest, outcome: Forward) -> None:
        """Send a call that rings, or has rung, to further targets."""
        if proxied.context is not None:
            self._perform(proxied, proxied.context.diverted(outcome))

    def not_diverted(self, proxied: ProxiedRequest, wanted: Divert, response: Response) -> None:
        """Go on with a call without the target that was *wanted*; *response* says why."""
        if proxied.context is not None:
            self._perform(proxied, proxied.context.not_diverted(wanted, response))

    def cancel(self, proxied: ProxiedRequest, reasons: tuple[str, ...]) -> None:
        """Cancel an INVITE for *reasons*, its Reason header fields (RFC 3326); it may still wait for its targets."""
        if proxied.context is not None:
            self._perform(proxied, proxied.context.cancel(reasons))
        else:
            self.server_transactions.answer(proxied, respond(proxied.request, Status.REQUEST_TERMINATED))

    # Responses in

    def responded(self, flow: Flow, response: Response) -> bool:
        """Process a response that matches a branch; it must arrive on the link on which the request was sent.

        Returns False if no branch matches. Raises `RemoteError` for a response without a Via below ours: the sender of the
        request could not match it.
        """
        sent = flow.sent.get(response.top_via.branch or "")
        if sent is None or response.cseq.method != sent.request.method:
            return False
        sent.responses += 1
        if sent.responses > MOST_FORWARDED and _is_superfluous(sent, response):
            return True
        try:
            self._admission.admit(sent, response)
        except RemoteError:
            if is_to(response, sent.proxied.request):
                self._replace_malformed(sent, response)
            raise
        if response.status == FLOW_FAILED and (sent.is_carried or sent.flow.carrier is not None):
            self._flow_failed(sent)
        if sent.proxied.context is not None and sent.branch in sent.flow.sent:
            self._process_response(sent, sent.proxied.context, response)
        return True

    def is_answered_without_end(self, flow: Flow, response: Response) -> bool:
        """Tell whether the branch of *response* has had more responses than phones send; each costs as much as a request."""
        sent = flow.sent.get(response.top_via.branch or "")
        return sent is not None and sent.responses >= MOST_RESPONSES

    def malformed(self, flow: Flow, response: Response) -> bool:
        """Process a response that breaks a rule, so that it cannot be forwarded; False if no branch matches.

        A CSeq that cannot be read is that of the branch, unless a CANCEL had the same branch.
        """
        try:
            sent = flow.sent.get(response.top_via.branch or "")
        except RemoteError:
            return False
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
        """Replace a response that breaks a rule, and release its sender.

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
        answer = readable_part(response, sent.request)
        if todo is Do.ACK:
            sent.flow.link.send(ack_for(sent.request, answer).encode())
        elif given is Input.SUCCESS and sent.request.method == "INVITE" and answer.to.tag:
            self._release.release_malformed(sent, answer)
        self.client_transactions.responded(sent, given, Status.BAD_GATEWAY)
        self._perform(proxied, context.responded(sent.number, explained(proxied.request, Status.BAD_GATEWAY)))

    def _flow_failed(self, sent: SentBranch) -> None:
        """End a carried flow that the next server does not know any more; at its home pool, its branches fail with it."""
        if sent.flow.carrier is not None:
            sent.flow.link.close("its client has gone")
        else:
            self._access.flow_failed(sent)

    def answered(self, sent: SentBranch, response: Response, fault: Fault | None) -> None:
        """See `BridgedBranches`."""
        if response.status < FIRST_FINAL:
            self.calls.early(sent, response)
        if sent.proxied.context is not None:
            self._process_response(sent, sent.proxied.context, response, fault, has_waited=True)

    def _process_response(
        self,
        sent: SentBranch,
        context: ResponseContext,
        response: Response,
        fault: Fault | None = None,
        *,
        has_waited: bool = False,
    ) -> None:
        """Process a response; that of a bridged branch once it *has_waited* for rtpengine, which may have had a *fault*.

        The caller gets a refusal in place of media that must not pass.
        """
        refused = fault.refusal if fault is not None else None
        if sent.bridge is None:
            refused = self._media.refused_response(sent, response) if response.body else None
        elif not has_waited and self._held.holds(sent, response):
            return
        given = of_status(response.status)
        todo = sent.transaction.receive(given)
        if refused is not None and todo is not Do.NOTHING:
            self.client_transactions.responded(sent, given, response.status)
            self._refuse_media(sent, context, response, refused)
            return
        if given is Input.SUCCESS and context.invite:
            if sent.proxied.request.body:
                self._media.keep_offer(sent)
            self.calls.began(sent, response, self._clock())
        if todo is Do.ACK:
            sent.flow.link.send(ack_for(sent.request, response).encode())
        self.client_transactions.responded(sent, given, response.status)
        if todo is Do.NOTHING:
            return
        if response.status == Status.BAD_GATEWAY and sent.is_challenged:
            self._perform(sent.proxied, context.challenged(sent.number, response), sent.flow.link)
            return
        self._perform(sent.proxied, context.responded(sent.number, response), sent.flow.link)

    def _refuse_media(self, sent: SentBranch, context: ResponseContext, response: Response, refused: Answer) -> None:
        """Answer the caller instead of *response*, and release the callee: by CANCEL, or by a BYE if it has accepted."""
        proxied = sent.proxied
        warning = self._refusals.record(sent.flow, proxied.request, refused)
        headers = (*refused.headers, ("Warning", warning))
        refusal = respond(proxied.request, refused.status, headers=headers)
        if response.status < FIRST_FINAL:
            self._perform(proxied, context.refuse(sent.number, refusal, (REASON,)))
            return
        self._release.release_callee(sent, response)
        self._perform(proxied, context.responded(sent.number, refusal))

    # Links

    def flow_ended(self, flow: Flow) -> None:
        """End the requests and branches of a carried *flow*; the link that carries it stays."""
        self._records.link_down(flow)
        for proxied in [proxied for proxied in flow.served.values() if proxied.flow is flow]:
            self._abandon(proxied)
        for sent in [sent for sent in flow.sent.values() if sent.flow is flow]:
            self._lose(sent)

    def link_down(self, flow: Flow) -> None:
        """Fail every branch that waits on this link, and cancel the requests that were received on it.

        Many transactions that are over are forgotten later, by `sweep`: a link may have tens of thousands of them.
        """
        self._records.link_down(flow)
        for proxied in [proxied for proxied in flow.served.values() if not proxied.is_answered]:
            self._abandon(proxied)
        for sent in [sent for sent in flow.sent.values() if sent.transaction.pending]:
            self._lose(sent)
        self._served_before += flow.served.values()
        self._sent_before += flow.sent.values()
        flow.served.clear()  # flows that the link has carried have the same tables, and end next
        flow.sent.clear()
        self._forget_closed(FORGOTTEN_AT_ONCE)

    def _lose(self, sent: SentBranch) -> None:
        """Fail a branch whose link is gone."""
        context, pending = sent.proxied.context, sent.transaction.pending
        self.client_transactions.drop(sent)
        if context is not None and pending:
            self._perform(sent.proxied, context.lost(sent.number))

    def _abandon(self, proxied: ProxiedRequest) -> None:
        """Stop a request whose sender is gone: cancel an INVITE that rings; other branches run until they time out."""
        if self._records.is_on:
            self._records.abandoned(proxied)
        self.server_transactions.drop(proxied)
        if proxied.context is not None and proxied.context.invite and not proxied.context.answered:
            self._perform(proxied, proxied.context.cancel())

    # The end of this server

    def give_up(self, retry_after_s: str) -> int:
        """Answer 503 to each request that still waits for its final response; gives their number."""
        given_up = 0
        for flow in self._flow_table.sessions():
            for proxied in list(flow.served.values()):
                if proxied.context is None:  # its user is being looked up, or its registration stored
                    headers = (("Retry-After", retry_after_s),)
                    self.server_transactions.answer(
                        proxied, respond(proxied.request, SERVICE_UNAVAILABLE, headers=headers)
                    )
                    given_up += 1
                elif not proxied.context.answered:
                    self._perform(proxied, proxied.context.give_up(retry_after_s))
                    given_up += 1
        return given_up

    # Effects

    def _perform(self, proxied: ProxiedRequest, effects: list[Effect], came_on: Link | None = None) -> None:
        """Carry out *effects* in order; a target that cannot be reached causes further effects.

        *came_on* is the link of the response that has caused them.
        """
        for effect in effects:
            if isinstance(effect, Start):
                may_offer = proxied.request.method in OFFERS and self._bridges.control.port
                bridge = self._bridges.between(proxied, effect) if may_offer else None
                if bridge is not None:
                    self._bridges.offer(bridge, proxied, HeldOffer(self, proxied, effect, came_on, bridge))
                    continue
                fault = self._sender.send(proxied, effect, came_on)
                if fault != SENT:
                    self._unsent(proxied, effect, fault)
            elif isinstance(effect, SendResponse):
                self.server_transactions.forward(proxied, effect.response)
            elif isinstance(effect, Cancel):
                sent = proxied.sent.get(effect.number)
                if sent is not None:
                    self.client_transactions.cancel(sent, effect.reasons)
            elif isinstance(effect, Forget):
                self._registrations.forget(effect.target.binding)
            elif isinstance(effect, AwaitSilent):
                self.server_transactions.await_silent(proxied, restarts=effect.restarts)
            else:
                self._perform_rare(proxied, effect)

    def offered(
        self,
        proxied: ProxiedRequest,
        start: Start,
        came_on: Link | None,
        bridge: Bridge,
        sdp: bytes,
        wrong: Fault | None,
    ) -> None:
        """See `BridgedBranches`. The caller may have gone meanwhile."""
        context = proxied.context
        if wrong is not None and context is not None:
            refused = wrong.refusal
            headers = (("Warning", self._refusals.record(proxied.flow, proxied.request, refused)),)
            response = respond(proxied.request, refused.status, headers=headers)
            self._perform(proxied, context.responded(start.number, response))
            return
        has_ended = context is None or context.ended
        fault = Status.REQUEST_TERMINATED if has_ended else self._sender.send(proxied, start, came_on, bridge, sdp)
        if fault != SENT:
            bridge.branch_ended()
            self._unsent(proxied, start, fault)

    def _perform_rare(
        self, proxied: ProxiedRequest, effect: DecideAgain | Divert | EndScreening | AwaitAnswer | Silence
    ) -> None:
        if isinstance(effect, DecideAgain):
            proxied.received.server.targets_lost(proxied, effect.what)
        elif isinstance(effect, Divert):
            proxied.received.server.divert(proxied, effect)
        elif isinstance(effect, EndScreening):
            proxied.received.server.screening_ended(effect.screening, effect.server)
        elif isinstance(effect, AwaitAnswer):
            self.server_transactions.ringing.add(proxied, effect.handling, self._clock())
        else:
            self.server_transactions.drop(proxied)

    def _unsent(self, proxied: ProxiedRequest, start: Start, fault: int) -> None:
        """Go on without a branch that could not be sent: as if it was lost, or had been answered with the status *fault*."""
        context = proxied.context
        if context is None:
            return
        if fault == LOST:
            self._perform(proxied, context.lost(start.number))
        else:
            self._perform(proxied, context.responded(start.number, respond(proxied.request, fault)))


def _is_superfluous(sent: SentBranch, response: Response) -> bool:
    """Tell whether a response is neither final nor the first final one of its request."""
    context = sent.proxied.context
    return response.status < FIRST_FINAL or (context is not None and context.answered)
