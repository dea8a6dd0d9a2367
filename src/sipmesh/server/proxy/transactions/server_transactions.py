"""The requests that this server has received and still serves: its server transactions (RFC 3261 17.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.routing.proxy.branch_kinds import SILENT_S
from sipmesh.routing.proxy.forwarding import assert_identity, hides_answerer
from sipmesh.routing.proxy.own_responses import explained
from sipmesh.server.proxy.dialog_key import dialog_of, ends_dialog
from sipmesh.server.proxy.flow import ProxiedRequest
from sipmesh.server.proxy.records.carried_by import is_server, without_trunk
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.server.proxy.transactions.ring_times import RingTimes
from sipmesh.sip.framing import is_too_long
from sipmesh.sip.message import Response, respond
from sipmesh.sip.status import FIRST_FINAL, FLOW_FAILED, Status
from sipmesh.sip.transaction.server import ServerTransaction
from sipmesh.sip.transaction.state import Do, Input, TransactionState, of_status
from sipmesh.sip.transaction.timers import Timer
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.routing.proxy.forwarding import ListenerAddress
    from sipmesh.server.proxy.call_table import CallTable
    from sipmesh.server.proxy.events.message_history import MessageHistory
    from sipmesh.server.proxy.flow import Flow, ReceivedRequest
    from sipmesh.server.proxy.records.call_recorder import CallRecorder


COUNTED: Final = ("MESSAGE", "REGISTER")
"""Methods whose final responses are counted, beside the calls."""


class ServerTransactions:
    """Starts, answers and ends server transactions; each is kept by its flow.

    *ending* has the INVITEs that were accepted, until timer L ends them (RFC 6026). *silent* has the requests that wait for
    phones that answer nothing, and *ringing* the calls that a rule ends. *records* and *history* learn of final responses.
    A call of *calls* ends with a BYE that was sent on and has its final response; a BYE that this server refuses itself ends
    nothing.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        listeners: dict[str, ListenerAddress],
        records: CallRecorder,
        calls: CallTable,
        history: MessageHistory,
    ) -> None:
        self._clock, self._listeners, self._records, self._calls = clock, listeners, records, calls
        self._history = history
        self.ending: TimeoutQueue[ProxiedRequest] = TimeoutQueue(Timer.L.seconds)
        self.silent: TimeoutQueue[ProxiedRequest] = TimeoutQueue(SILENT_S)
        self.ringing = RingTimes()
        self.answered = {method: [0] * 7 for method in COUNTED}  # final responses, by the first digit
        self.calls_ended = [0] * 7  # first final responses to initial INVITEs, by the first digit

    def begin(self, received: ReceivedRequest) -> ProxiedRequest:
        """Start a server transaction for a request."""
        flow, is_invite = received.flow, received.request.method == "INVITE"
        proxied = ProxiedRequest(received, ServerTransaction(invite=is_invite))
        proxied.came_by = self.listener(flow)
        if self._records.is_on:
            proxied.began = self._clock()
        if is_invite:
            proxied.ring()
        flow.served[received.key] = proxied
        return proxied

    def listener(self, flow: Flow) -> ListenerAddress:
        """Return the address of ours that the link of *flow* came in at."""
        return self._listeners[flow.link.port]

    def answer(self, proxied: ProxiedRequest, response: Response, data: bytes = b"") -> None:
        """Send a response, our own or a forwarded one, and end the server transaction if the response ends it.

        *data* is the encoded response, if it is known already. A response that is too long becomes a 502: what made it too long
        is the fault of its sender.
        """
        data = data or response.encode()
        if is_too_long(response, len(data)):
            if response.status < FIRST_FINAL:
                return
            response = respond(proxied.request, Status.BAD_GATEWAY)
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
                if self._records.is_on or self._history.is_on:
                    self._tell(proxied, response)
            elif proxied.request.method == "BYE" and proxied.context is not None and ends_dialog(response.status):
                dialog = dialog_of(proxied.request, proxied.received.place.ends)
                self._calls.ended(dialog, proxied.request.call_id)
            self.drop(proxied)
        elif transaction.state is not before:
            self._call_ended(proxied, response)

    def _tell(self, proxied: ProxiedRequest, response: Response) -> None:
        if self._records.is_on:
            self._records.answered(proxied, response)
        if self._history.is_on:
            self._history.answered(proxied, response)

    def forward(self, proxied: ProxiedRequest, response: Response) -> None:
        """Send a response that has come from a branch, as the peer of the sender's link may see it."""
        if response.status == FLOW_FAILED and proxied.flow.carrier is not None:
            # to the server with the link it says that the login is unknown here: another flow has failed
            response = explained(proxied.request, Status.TEMPORARILY_UNAVAILABLE)
        link = proxied.flow.link
        if link.kind is LinkKind.PARTNER or (link.kind is LinkKind.CLIENT and hides_answerer(response)):
            assert_identity(response, None)
        is_told = not self._records.is_on or is_server(proxied.flow.sender)
        data = (response if is_told else without_trunk(response)).encode()
        if not link.has_room(len(data)) and link.usable:
            if response.status < FIRST_FINAL:  # the sender does not need a provisional response
                return
            status = Status.SERVER_INTERNAL_ERROR if link.can_hold(len(data)) else Status.MESSAGE_TOO_LARGE
            response = respond(proxied.request, status)
            data = response.encode()
        self.answer(proxied, response, data)

    def _call_ended(self, proxied: ProxiedRequest, response: Response) -> None:
        """Count the final response of an INVITE; keep only its key for the ACK if it was refused, otherwise drop its body."""
        proxied.ring_no_more()
        if proxied.context is not None and proxied.request.to.tag is None:
            self.calls_ended[min(response.status // 100, 6)] += 1
        if self._records.is_on:
            self._records.answered(proxied, response)
        if proxied.transaction.state is TransactionState.COMPLETED:
            proxied.flow.refuse(proxied.key)
            self.drop(proxied)
            return
        proxied.hold(max(0, proxied.size - len(proxied.request.body)))
        proxied.drop_body()
        self.ending.add(proxied, self._clock())

    def acknowledged(self, proxied: ProxiedRequest) -> bool:
        """Process an ACK with the branch of its INVITE; return False for the ACK of a 2xx, which is forwarded to the callee.

        The ACK of another final response ends the server transaction.
        """
        is_ours = proxied.transaction.receive(Input.ACK) is not Do.PASS
        if proxied.transaction.over:
            self.drop(proxied)
        return is_ours

    def await_silent(self, proxied: ProxiedRequest, *, restarts: bool) -> None:
        """Wait for phones and trunks that answer nothing, for `SILENT_S` from the first call on, or again for another trunk."""
        if restarts or proxied not in self.silent:
            self.silent.add(proxied, self._clock())

    def sweep(self, now: float, most: int) -> int:
        """End *most* INVITEs whose timer L has fired; give how many fewer there were."""
        while most > 0 and (proxied := self.ending.pop_expired(now)) is not None:
            self.drop(proxied)
            most -= 1
        return most

    def drop(self, proxied: ProxiedRequest) -> None:
        """Serve a request no longer."""
        if proxied.size:
            proxied.hold(0)
        if proxied.rings:
            proxied.ring_no_more()
        self.ending.discard(proxied)
        self.silent.discard(proxied)
        if proxied.flow.served.get(proxied.key) is proxied:
            del proxied.flow.served[proxied.key]
