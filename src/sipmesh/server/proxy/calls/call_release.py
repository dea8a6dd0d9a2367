"""Ends a call that may not go on, when nothing can refuse it any more: by ACK and BYE in place of the other side."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.routing.proxy.release import (
    MALFORMED,
    ack_in_place_of_caller,
    bye_after_ack,
    bye_in_place_of_callee,
    bye_in_place_of_caller,
    byes_of_operator,
    without_body,
)
from sipmesh.sip.framing import is_too_long

if TYPE_CHECKING:
    from sipmesh.routing.outcome import Forward
    from sipmesh.server.proxy.call_table import CallTable
    from sipmesh.server.proxy.flow import Flow, SentBranch
    from sipmesh.server.proxy.records.up_calls import UpCall
    from sipmesh.server.proxy.transactions.ack_forwarder import AckForwarder
    from sipmesh.server.proxy.transactions.branch_requests import BranchRequests
    from sipmesh.sip.message import Request, Response

MOST_SEARCHED: Final = 1_000
"""Requests of one link among which the INVITE of a refused ACK is searched, the newest first."""


class CallRelease:
    """Sends the requests that end a call, and waits for no response."""

    def __init__(self, requests: BranchRequests, acks: AckForwarder, calls: CallTable) -> None:
        self._requests, self._acks, self._calls = requests, acks, calls

    def __repr__(self) -> str:
        return f"<CallRelease {self._calls!r}>"

    def release_callee(self, sent: SentBranch, response: Response) -> None:
        """End the dialog with the callee, who has accepted the branch *sent* by *response*, a 2xx."""
        tokens = self._requests.tokens_in(sent, response)
        if sent.request.method == "INVITE":
            self._send_alone(sent.flow, ack_in_place_of_caller(sent.request, response, tokens))
        self._send_alone(sent.flow, bye_in_place_of_caller(sent.request, response, tokens))

    def release_malformed(self, sent: SentBranch, response: Response) -> None:
        """Acknowledge *response*, a 2xx to an INVITE that cannot be forwarded, and end the call that it has begun.

        A call that was up before goes on: to its caller, the request has failed.
        """
        tokens = self._requests.tokens_in(sent, response)
        self._send_alone(sent.flow, ack_in_place_of_caller(sent.request, response, tokens))
        if sent.request.to.tag is None:
            self._send_alone(sent.flow, bye_in_place_of_caller(sent.request, response, tokens, MALFORMED))

    def end_call(self, flow: Flow, ack: Request, outcome: Forward) -> None:
        """End a call whose ACK was refused: with the callee by that way, and with the caller if its INVITE is known."""
        self._acks.forward(flow, without_body(ack), outcome)
        self._acks.forward(flow, bye_after_ack(ack), outcome)
        self._calls.ended(ack.call_id)
        for proxied in islice(reversed(flow.served.values()), MOST_SEARCHED):
            invite = proxied.request
            if invite.method == "INVITE" and invite.call_id == ack.call_id and invite.cseq.number == ack.cseq.number:
                bye = bye_in_place_of_callee(invite, ack)
                if bye is not None:
                    self._send_alone(flow, bye)
                return

    def end_up(self, call: UpCall) -> None:
        """End a call that is up: a BYE to each side. Raises `OperatorError` if this process has not seen it begin."""
        proxied, sent, response = call.invite, call.sent, call.response
        if proxied is None or sent is None or response is None:
            raise OperatorError(
                f"the call {call.entry.key} has begun before its server has started; its phones have to end it"
            )
        tokens = self._requests.tokens_in(sent, response)
        to_caller, to_callee = byes_of_operator(proxied.request, sent.request, response, tokens)
        for flow, bye in ((proxied.flow, to_caller), (sent.flow, to_callee)):
            if bye is not None:
                self._send_alone(flow, bye)

    def _send_alone(self, flow: Flow, request: Request) -> None:
        """Send a request of our own, and wait for no response; not a request that its receiver would not read."""
        self._requests.add_via(flow, request)
        data = request.encode()
        if flow.link.usable and flow.link.has_room(len(data)) and not is_too_long(request, len(data)):
            flow.link.send(data)
