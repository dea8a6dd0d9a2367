"""Ends a call that may not go on, when nothing can refuse it any more: by ACK and BYE in place of the other side."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.routing.proxy.release import (
    BY_OPERATOR,
    MALFORMED,
    MEDIA_LOST,
    PEER_GONE,
    TOO_LONG,
    ack_in_place_of_caller,
    bye_after_ack,
    bye_in_place_of_callee,
    bye_in_place_of_caller,
    byes_to_both,
    without_body,
)
from sipmesh.sip.framing import is_too_long
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.routing.outcome import Forward
    from sipmesh.server.proxy.call_table import CallTable
    from sipmesh.server.proxy.call_table import UpCall as TableCall
    from sipmesh.server.proxy.calls.trunk_calls import TrunkCall, TrunkCalls
    from sipmesh.server.proxy.flow import Flow, SentBranch
    from sipmesh.server.proxy.records.up_calls import UpCall
    from sipmesh.server.proxy.transactions.ack_forwarder import AckForwarder
    from sipmesh.server.proxy.transactions.branch_requests import BranchRequests
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.sip.message import Request, Response

MOST_SEARCHED: Final = 1_000
"""Requests of one link among which the INVITE of a refused ACK is searched, the newest first."""


class CallRelease:
    """Sends the requests that end a call, and waits for no response."""

    def __init__(
        self, requests: BranchRequests, acks: AckForwarder, calls: CallTable, trunk_calls: TrunkCalls, log: LimitedLog
    ) -> None:
        self._requests, self._acks, self._calls, self._trunk_calls = requests, acks, calls, trunk_calls
        self._log = log

    def release_callee(self, sent: SentBranch, response: Response) -> None:
        """End the dialog with the callee, who has accepted the branch *sent* by *response*, a 2xx."""
        tokens = self._requests.tokens_in(sent, response)
        if sent.request.method == "INVITE":
            self._send_to_callee(sent, ack_in_place_of_caller(sent.request, response, tokens))
        self._send_to_callee(sent, bye_in_place_of_caller(sent.request, response, tokens))

    def _send_to_callee(self, sent: SentBranch, request: Request) -> None:
        """Send a request of our own to the side that has accepted *sent*; a gateway has hidden its Contact from a trunk."""
        trunk = self._trunk_calls.trunk_of(sent.flow) or self._trunk_calls.trunk_of(sent.proxied.flow)
        if trunk:
            self._requests.open_contact(request, trunk)
        self._send_alone(sent.flow, request)

    def release_malformed(self, sent: SentBranch, response: Response) -> None:
        """Acknowledge *response*, a 2xx to an INVITE that cannot be forwarded, and end the call that it has begun.

        A call that was up before goes on: to its caller, the request has failed.
        """
        tokens = self._requests.tokens_in(sent, response)
        self._send_alone(sent.flow, ack_in_place_of_caller(sent.request, response, tokens))
        if sent.request.to.tag is None:
            self._send_alone(sent.flow, bye_in_place_of_caller(sent.request, response, tokens, MALFORMED))

    def end_call(self, flow: Flow, ack: Request, outcome: Forward, dialog: str) -> None:
        """End the call *dialog* whose ACK was refused: with the callee that way, and with the caller if its INVITE is known."""
        self._acks.forward(flow, without_body(ack), outcome, dialog)
        self._acks.forward(flow, bye_after_ack(ack), outcome, dialog)
        self._calls.ended(dialog, ack.call_id)
        self._trunk_calls.ended(dialog)
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
        to_caller, to_callee = byes_to_both(proxied.request, sent.request, response, tokens, BY_OPERATOR)
        for flow, bye in ((proxied.flow, to_caller), (sent.flow, to_callee)):
            if bye is not None:
                self._send_alone(flow, bye)

    def end_too_long(self, call: TrunkCall) -> None:
        """End a call with a trunk that is longer than allowed: a BYE to each side. Its channel is free once the trunk has it."""
        if self._end_both(call.sent, call.response, TOO_LONG):
            self._trunk_calls.forget(call)

    def end_bridged(self, sent: SentBranch, response: Response) -> None:
        """End a call that rtpengine has not any more: a BYE to each side."""
        self._end_both(sent, response, MEDIA_LOST)

    def end_orphaned(self, call: TableCall, why: str) -> None:
        """End a call whose application, trunk or partner may not go on: a BYE to our side; the other one gets it if it can."""
        if call.sent is not None and call.response is not None:
            self._log.info(call.outsiders[0], "call ended", peer=", ".join(call.outsiders), why=why)
            self._trunk_calls.ended(self._requests.dialog_of(call.sent, call.response))
            self._end_both(call.sent, call.response, PEER_GONE)

    def _end_both(self, sent: SentBranch, response: Response, reason: str) -> bool:
        """Send a BYE to each side of the call that *response* has begun; tell whether a trunk got one, if it has one."""
        trunk = self._trunk_calls.trunk_of(sent.flow) or self._trunk_calls.trunk_of(sent.proxied.flow)
        tokens, has_told = self._requests.tokens_in(sent, response), False
        to_caller, to_callee = byes_to_both(sent.proxied.request, sent.request, response, tokens, reason)
        for began_on, bye in ((sent.proxied.flow, to_caller), (sent.flow, to_callee)):
            flow = self._trunk_calls.flow_of(began_on)
            if bye is None:
                continue
            if trunk:
                self._requests.open_contact(bye, trunk)
            if self._send_alone(flow, bye) and flow.link.kind is LinkKind.PARTNER:
                has_told = True
        self._calls.ended(self._requests.dialog_of(sent, response), response.call_id)
        return has_told

    def _send_alone(self, flow: Flow, request: Request) -> bool:
        """Send a request of our own that its receiver would read, and wait for no response; tell whether it was sent."""
        self._requests.add_via(flow, request)
        data = request.encode()
        is_sendable = flow.link.usable and flow.link.has_room(len(data)) and not is_too_long(request, len(data))
        if is_sendable:
            flow.link.send(data)
        return is_sendable
