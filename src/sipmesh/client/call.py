"""Calls, from INVITE to BYE, for the caller and for the callee (RFC 3261 13 to 15)."""

from __future__ import annotations

import asyncio

from sipmesh.client.dialog import Dialog, DialogState, Happened, follow
from sipmesh.client.exchange import Exchange
from sipmesh.client.line import ClientLink
from sipmesh.client.outcome import Outcome, hops_back, hops_of, identity_of
from sipmesh.client.party import METHODS, new_tag
from sipmesh.client.sdp import SDP, make_answer, make_offer
from sipmesh.errors import LocalError
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.status import TRYING
from sipmesh.sip.transaction.server import ServerTransaction
from sipmesh.sip.transaction.state import Input
from sipmesh.sip.transaction.timers import T1

T2 = 4.0
"""Seconds; RFC 3261 table 4: the longest interval between two retransmissions of a 2xx."""


class Call:
    """What both sides have in common: a dialog, its state, and its end."""

    def __init__(self, line: ClientLink, remote: str) -> None:
        self.line, self.remote = line, remote
        self.dialog: Dialog | None = None
        self.state = DialogState.CALLING
        self.offered = self.answered_with = b""
        self._over = asyncio.Event()

    async def over(self) -> None:
        """Wait until the call has ended, by either side."""
        await self._over.wait()

    async def hang_up(self) -> Outcome | None:
        """End an established call, and return the response to the BYE; None if the call is not established."""
        if self.state is not DialogState.CONFIRMED or self.dialog is None:
            return None
        self.happened(Happened.BYE)
        return await self.line.ask(self.line.party.inside(self.dialog, "BYE"))

    def happened(self, what: Happened) -> None:
        """Change the state as the table says."""
        self.state = follow(self.state, what)
        if self.state is DialogState.TERMINATED:
            self._over.set()

    def serve(self, request: Request) -> Response | None:
        """Return the response to a request inside the dialog, None for an ACK; raises `RemoteError`."""
        if self.dialog is None or not self.dialog.accept_cseq(request):
            return respond(request, 500, "CSeq Out Of Order")
        if request.method == "ACK":
            self.acknowledged()
            return None
        if request.method == "BYE":
            self.happened(Happened.BYE)
            return respond(request, 200)
        if request.method == "INVITE":
            return self._again(request)
        return respond(request, 200, headers=[("allow", METHODS)])

    def acknowledged(self) -> None:
        """The other side has acknowledged our 2xx."""

    def _again(self, request: Request) -> Response:
        """Accept a re-INVITE, and describe the session again (RFC 3261 14.2)."""
        if self.dialog is not None:
            self.dialog.refresh(request)
        body = _describe(self.line, request.body)
        return respond(request, 200, headers=[("contact", self.line.party.contact), ("content-type", SDP)], body=body)


class OutgoingCall(Call):
    """A call that we make."""

    def __init__(self, line: ClientLink, to: str, offer: bytes = b"") -> None:
        super().__init__(line, to)
        self.offered = offer or make_offer(line.party.here[0], 1)
        self.ringing = asyncio.Event()
        self.hops: tuple[str, ...] = ()
        self._exchange: Exchange | None = None
        self._cancelled = False
        self._final: asyncio.Task[Outcome] = line.loop.create_task(self._call())
        self._final.add_done_callback(_retrieve_exception)

    async def answered(self) -> Outcome:
        """Wait for the final response; raises `NoAnswerError`, or the error that ended the link."""
        return await asyncio.shield(self._final)

    async def cancel(self) -> Outcome:
        """Cancel the call and return its final response: 487, unless the call was answered at the same moment."""
        self._cancelled = True
        if self._exchange is not None:
            self._exchange.cancel()
        return await self.answered()

    async def _call(self) -> Outcome:
        party = self.line.party
        headers = [("contact", party.contact), ("allow", METHODS)]
        request = party.outside("INVITE", self.remote, self.remote, headers, self.offered, content_type=SDP)
        try:
            outcome = await self.line.ask(request, self._provisional, self._success, self._started)
        except Exception:
            self.happened(Happened.LINK_LOST)
            raise
        if not outcome.ok:
            self.happened(Happened.FAILURE)
        return outcome

    def _started(self, exchange: Exchange) -> None:
        """Cancel a call again that was cancelled before its request was sent, or before a challenge was answered."""
        self._exchange = exchange
        if self._cancelled:
            exchange.cancel()

    def _provisional(self, response: Response) -> None:
        if response.status > TRYING and response.to.tag:  # a 100 makes no dialog (RFC 3261 12.1)
            self.happened(Happened.RINGING)
            self.ringing.set()

    def _success(self, response: Response) -> None:
        """Acknowledge every 2xx: the first one makes the dialog, and each retransmission gets an ACK (RFC 3261 13.2.2.4)."""
        if self._exchange is None:
            raise LocalError("an answer before the request")
        dialog = Dialog.of_caller(self._exchange.request, response)
        if self.dialog is None:
            self.dialog, self.hops, self.answered_with = dialog, hops_of(response), response.body
            self.happened(Happened.SUCCESS)
        self.line.send(self.line.party.inside(dialog, "ACK"))
        if dialog.key != self.dialog.key:
            # RFC 3261 13.2.2.4: a 2xx of another fork is acknowledged too; a caller that does not want that dialog sends a BYE.
            self.line.exchanges.start(self.line.party.inside(dialog, "BYE"))


class IncomingCall(Call):
    """A call from another user; it rings until `accept` or `reject`."""

    def __init__(self, line: ClientLink, invite: Request) -> None:
        super().__init__(line, invite.from_.sip_uri.aor)
        self.invite, self.tag = invite, new_tag()
        self.identity, self.hops = identity_of(invite), hops_back(invite)
        self.offered = invite.body
        self.dialog = Dialog.of_callee(invite, self.tag)
        self._transaction = ServerTransaction(invite=True)
        self._copies: asyncio.TimerHandle | None = None
        self.ring()

    def ring(self) -> None:
        """Answer 180 Ringing."""
        self._answer(Input.PROVISIONAL, 180)
        self.happened(Happened.RINGING)

    def accept(self, answer: bytes = b"") -> None:
        """Accept the call; do nothing if it does not ring any more."""
        if self.state is not DialogState.EARLY:
            return
        self.answered_with = answer or _describe(self.line, self.offered)
        response = self._answer(Input.SUCCESS, 200)
        self.happened(Happened.SUCCESS)
        self._copy(response, T1, self.line.loop.time() + 64 * T1)

    def reject(self, status: int = 486, reason: str | None = None) -> None:
        """Refuse the call; do nothing if it does not ring any more."""
        if self.state is DialogState.EARLY:
            self._answer(Input.FAILURE, status, reason)
            self.happened(Happened.FAILURE)

    def acknowledged(self) -> None:
        """The other side has acknowledged our 2xx: stop its retransmission."""
        if self._copies is not None:
            self._copies.cancel()
            self._copies = None

    def happened(self, what: Happened) -> None:
        """Change the state as the table says; an ended call stops the retransmission."""
        super().happened(what)
        if self.state is DialogState.TERMINATED:
            self.acknowledged()

    def _answer(self, given: Input, status: int, reason: str | None = None) -> Response:
        self._transaction.receive(given)
        headers = [("contact", self.line.party.contact), ("allow", METHODS)]
        headers += [("record-route", value) for value in self.invite.values("record-route")]
        body = self.answered_with if given is Input.SUCCESS else b""
        headers += [("content-type", SDP)] if body else []
        response = respond(self.invite, status, reason, headers=headers, to_tag=self.tag, body=body)
        self.line.send(response)
        return response

    def _copy(self, response: Response, interval_s: float, until: float) -> None:
        """Send the 2xx again until its ACK arrives, also over TLS (RFC 3261 13.3.1.4): a later hop may lose it."""
        self._copies = self.line.loop.call_later(interval_s, self._copy_now, response, interval_s, until)

    def _copy_now(self, response: Response, interval_s: float, until: float) -> None:
        if self.line.loop.time() >= until:
            # RFC 3261 13.3.1.4: without an ACK after 64*T1 "the dialog is confirmed, but the session SHOULD be terminated".
            self._copies = None
            hang_up = self.line.loop.create_task(self.hang_up())
            hang_up.add_done_callback(_retrieve_exception)
        elif self.line.send(response):
            self._copy(response, min(2 * interval_s, T2), until)


def _describe(line: ClientLink, offer: bytes) -> bytes:
    """Answer an offer, or make an offer if there is none (RFC 3261 13.3.1.4)."""
    here = line.party.here[0]
    return make_answer(offer, here, 1) if offer else make_offer(here, 1)


def _retrieve_exception(task: asyncio.Task[Outcome] | asyncio.Task[Outcome | None]) -> None:
    """Retrieve the exception of a task, so that asyncio does not log it if no caller waits for the task."""
    if not task.cancelled():
        task.exception()
