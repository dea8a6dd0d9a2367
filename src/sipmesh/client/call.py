"""Calls, from INVITE to BYE, as the side that calls and as the side that is called (RFC 3261 sections 13 to 15)."""

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
from sipmesh.sip.transaction.server import ServerTransaction
from sipmesh.sip.transaction.state import Input
from sipmesh.sip.transaction.timers import T1

T2 = 4.0
"""RFC 3261 table 4: the longest interval between two copies of a 2xx."""


class Call:
    """What both sides have in common: a dialog, where it stands, and its end."""

    def __init__(self, line: ClientLink, remote: str) -> None:
        self.line, self.remote = line, remote
        self.dialog: Dialog | None = None
        self.state = DialogState.CALLING
        self.offered = self.answered_with = b""
        self._over = asyncio.Event()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {self.remote} {self.state.name}>"

    @property
    def is_up(self) -> bool:
        """Whether both sides are in the call."""
        return self.state is DialogState.CONFIRMED

    async def over(self) -> None:
        """Wait until the call has ended, whoever ended it."""
        await self._over.wait()

    async def hang_up(self) -> Outcome | None:
        """End a call that is up and give the answer to the BYE; None if there was nothing to end any more."""
        if self.state is not DialogState.CONFIRMED or self.dialog is None:
            return None
        self.happened(Happened.BYE)
        return await self.line.ask(self.line.party.inside(self.dialog, "BYE"))

    def happened(self, what: Happened) -> None:
        """Follow the table."""
        self.state = follow(self.state, what)
        if self.state is DialogState.TERMINATED:
            self._over.set()

    def serve(self, request: Request) -> Response | None:
        """Answer a request inside the dialog; an ACK gets no answer. Raises `RemoteError`."""
        if self.dialog is None or not self.dialog.take(request):
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
        """The other side has our 2xx."""

    def _again(self, request: Request) -> Response:
        """Take a re-INVITE and describe the session again (14.2)."""
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
        self._taken_back = False
        self._final: asyncio.Task[Outcome] = line.loop.create_task(self._call())
        self._final.add_done_callback(_heard)

    async def answered(self) -> Outcome:
        """Wait for the final answer; raises `NoAnswerError`, or what ended the link."""
        return await asyncio.shield(self._final)

    async def cancel(self) -> Outcome:
        """Take the call back and give its final answer, a 487 unless it was answered at that very moment."""
        self._taken_back = True
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
        """A call that was taken back before is taken back again, also when it has just answered a challenge."""
        self._exchange = exchange
        if self._taken_back:
            exchange.cancel()

    def _provisional(self, response: Response) -> None:
        if response.status > 100 and response.to.tag:  # noqa: PLR2004 - a 100 makes no dialog (RFC 3261 section 12.1)
            self.happened(Happened.RINGING)
            self.ringing.set()

    def _success(self, response: Response) -> None:
        """Acknowledge every 2xx: the first one makes the dialog, a copy of it gets a copy of the ACK (13.2.2.4)."""
        if self._exchange is None:
            raise LocalError("an answer before the request")
        dialog = Dialog.of_caller(self._exchange.request, response)
        if self.dialog is None:
            self.dialog, self.hops, self.answered_with = dialog, hops_of(response), response.body
            self.happened(Happened.SUCCESS)
        self.line.send(self.line.party.inside(dialog, "ACK"))
        if dialog.key != self.dialog.key:
            # 13.2.2.4: a 2xx of another fork is acknowledged too, and a caller that has no use for it sends a BYE.
            self.line.exchanges.start(self.line.party.inside(dialog, "BYE"))


class IncomingCall(Call):
    """A call that somebody makes to us; it rings until `accept` or `reject`."""

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
        """Say that it rings."""
        self._answer(Input.PROVISIONAL, 180)
        self.happened(Happened.RINGING)

    def accept(self, answer: bytes = b"") -> None:
        """Take the call; nothing happens if it is gone."""
        if self.state is not DialogState.EARLY:
            return
        self.answered_with = answer or _describe(self.line, self.offered)
        response = self._answer(Input.SUCCESS, 200)
        self.happened(Happened.SUCCESS)
        self._copy(response, T1, self.line.loop.time() + 64 * T1)

    def reject(self, status: int = 486, reason: str | None = None) -> None:
        """Refuse the call; nothing happens if it is gone."""
        if self.state is DialogState.EARLY:
            self._answer(Input.FAILURE, status, reason)
            self.happened(Happened.FAILURE)

    def acknowledged(self) -> None:
        """The other side has our 2xx: no more copies of it."""
        if self._copies is not None:
            self._copies.cancel()
            self._copies = None

    def happened(self, what: Happened) -> None:
        """Follow the table."""
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
        """Send the 2xx again until its ACK comes, also over TLS: 13.3.1.4 makes no exception, a hop behind may lose it."""
        self._copies = self.line.loop.call_later(interval_s, self._copy_now, response, interval_s, until)

    def _copy_now(self, response: Response, interval_s: float, until: float) -> None:
        if self.line.loop.time() >= until:
            # 13.3.1.4: without an ACK after 64*T1 "the dialog is confirmed, but the session SHOULD be terminated".
            self._copies = None
            hang_up = self.line.loop.create_task(self.hang_up())
            hang_up.add_done_callback(_heard)
        elif self.line.send(response):
            self._copy(response, min(2 * interval_s, T2), until)


def _describe(line: ClientLink, offer: bytes) -> bytes:
    """Answer an offer, or make one where there is none (13.3.1.4)."""
    here = line.party.here[0]
    return make_answer(offer, here, 1) if offer else make_offer(here, 1)


def _heard(task: asyncio.Task[Outcome] | asyncio.Task[Outcome | None]) -> None:
    """Take note of how a task ended: whoever waits for it hears of it, but nobody has to wait."""
    if not task.cancelled():
        task.exception()
