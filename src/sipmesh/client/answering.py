"""Automatic answers to requests: MESSAGE, INVITE, ACK, BYE, CANCEL, OPTIONS (RFC 3261 8.2, RFC 3428)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.client.call import Call, IncomingCall
from sipmesh.client.dialog import DialogState, Happened, key_of
from sipmesh.client.outcome import Text
from sipmesh.client.party import METHODS
from sipmesh.errors import RemoteError
from sipmesh.sip.check import check_request, unsupported
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.status import Status
from sipmesh.sip.transaction.key import cancelled_key, server_key

if TYPE_CHECKING:
    from sipmesh.client.line import ClientLink

Event = Text | IncomingCall

MOST_EVENTS = 1000
"""Events that wait to be read; at this number a new one is refused with 480, so that a flood cannot fill memory."""

MOST_CALLS = 100
"""Calls at the same time; further calls are refused with 486, for the same reason."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How the agent answers: calls at once, or only on order; messages with 200, or with another status."""

    accept_calls: bool = True
    message_status: int = 200


class Answering:
    """The agent as the receiver of requests. *events* has the messages and calls that a person would see."""

    def __init__(self, line: ClientLink, manners: Manners, events: asyncio.Queue[Event]) -> None:
        self.line, self.manners, self.events = line, manners, events
        self.calls: list[Call] = []
        self._ringing: dict[str, IncomingCall] = {}

    def serve(self, request: Request) -> None:
        """Answer one request; a malformed one gets the status for its fault."""
        try:
            check_request(request)
            response = self._answer(request)
        except RemoteError as wrong:
            response = respond(request, wrong.status)
        if response is not None and request.method != "ACK":
            self.line.send(response)

    def add(self, call: Call) -> None:
        """Add a call of ours, so that requests inside its dialog find it."""
        self._forget_ended()
        self.calls.append(call)

    def lose(self) -> None:
        """End all calls, because the link has closed."""
        for call in self.calls:
            call.happened(Happened.LINK_LOST)
        self._forget_ended()

    def _answer(self, request: Request) -> Response | None:
        if request.method == "CANCEL":
            return self._cancel(request)
        if request.method == "ACK" and server_key(request) in self._ringing:
            self._ringing.pop(server_key(request)).acknowledged()
        if request.to.tag is not None:
            return self._inside(request)
        unknown = unsupported(request, "require", ())
        if unknown:
            return respond(request, 420, headers=[("unsupported", ", ".join(unknown))])
        return self._outside(request)

    def _outside(self, request: Request) -> Response | None:
        if request.method == "MESSAGE":
            return self._message(request)
        if request.method == "INVITE":
            return self._invite(request)
        if request.method == "OPTIONS":
            return respond(request, 200, headers=[("allow", METHODS), ("accept", "application/sdp, text/plain")])
        return respond(request, 405, headers=[("allow", METHODS)])

    def _inside(self, request: Request) -> Response | None:
        """Find the dialog of a request; without one, answer 481 (RFC 3261 12.2.2)."""
        for call in self.calls:
            if (
                call.dialog is not None
                and call.dialog.key == key_of(request)
                and call.state is not DialogState.TERMINATED
            ):
                return call.serve(request)
        return respond(request, 481)

    def _message(self, request: Request) -> Response:
        if self.manners.message_status != Status.OK:
            return respond(request, self.manners.message_status)
        return respond(request, 200) if self._tell(Text.of(request)) else respond(request, 480)

    def _invite(self, request: Request) -> Response | None:
        self._forget_ended()
        if len(self.calls) >= MOST_CALLS or self.events.full():
            return respond(request, 486)
        call = IncomingCall(self.line, request)
        self.calls.append(call)
        self._ringing[server_key(request)] = call
        self._tell(call)
        if self.manners.accept_calls:
            call.accept()
        return None

    def _cancel(self, request: Request) -> Response:
        """Stop ringing (RFC 3261 9.2): 200 to the CANCEL, and 487 to the INVITE unless it has been answered."""
        call = self._ringing.get(cancelled_key(request))
        if call is None:
            return respond(request, 481)
        call.reject(487)
        return respond(request, 200, to_tag=call.tag)

    def _tell(self, event: Event) -> bool:
        if self.events.full():
            return False
        self.events.put_nowait(event)
        return True

    def _forget_ended(self) -> None:
        self.calls = [call for call in self.calls if call.state is not DialogState.TERMINATED]
        self._ringing = {key: call for key, call in self._ringing.items() if call.state is not DialogState.TERMINATED}
