"""Requests that we have sent, and their responses: client transactions with a future for the final response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sipmesh.client.outcome import NoAnswerError, Outcome
from sipmesh.errors import RemoteError
from sipmesh.sip.message import Request, Response
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from sipmesh.sip.transaction.client import ClientTransaction
from sipmesh.sip.transaction.key import client_key
from sipmesh.sip.transaction.state import Do, Input, TransactionState, of_status
from sipmesh.sip.transaction.timers import T1, Timer

CANCEL_WAITS_S = 64 * T1
"""RFC 3261 9.1: a cancelled INVITE without a final response ends after this time."""

Hear = Callable[[Response], None]


def ignore(_: Response) -> None:
    """Do nothing with a response."""


class Exchange:
    """One request in progress. *provisional* gets each 1xx, *success* each 2xx of an INVITE, with retransmissions and forks."""

    __slots__ = (
        "_cancelled",
        "_final",
        "_handle",
        "_owner",
        "_provisional",
        "_running",
        "_success",
        "request",
        "sent_at",
        "transaction",
    )

    def __init__(self, owner: Exchanges, request: Request, provisional: Hear, success: Hear) -> None:
        self.request, self.sent_at = request, owner.loop.time()
        self.transaction = ClientTransaction(invite=request.method == "INVITE")
        self._owner, self._provisional, self._success = owner, provisional, success
        self._final: asyncio.Future[Outcome] = owner.loop.create_future()
        self._handle: asyncio.TimerHandle | None = None
        self._running: Timer | None = None
        self._cancelled = False
        self._follow_timer()

    async def final(self) -> Outcome:
        """Wait for the final response; raises `NoAnswerError`, or the error that ended the link."""
        return await asyncio.shield(self._final)

    def cancel(self) -> None:
        """Cancel an INVITE: at once after a provisional response, otherwise when the first one arrives (RFC 3261 9.1)."""
        if self.transaction.state is TransactionState.PROCEEDING:
            self._owner.start(cancel_for(self.request))
            self._run(CANCEL_WAITS_S, Input.GIVE_UP)
        else:
            self._cancelled = self.transaction.state is TransactionState.CALLING

    def receive(self, response: Response) -> None:
        """Process one response."""
        given = of_status(response.status)
        todo = self.transaction.receive(given)
        if todo is Do.ACK:
            self._owner.send(ack_for(self.request, response))
        self._follow_timer()
        if todo in {Do.ACK, Do.PASS}:
            try:
                self._pass(given, response)
            except RemoteError as wrong:
                self._end(NoAnswerError(f"an answer to {self.request.method} that cannot be used: {wrong}"))

    def fail(self, given: Input, error: Exception) -> None:
        """End without a final response; *error* is raised to the waiting caller."""
        if self.transaction.receive(given) is Do.FAIL:
            self._end(error)
        self._follow_timer()

    def _end(self, error: Exception) -> None:
        if not self._final.done():
            self._final.set_exception(error)
            self._final.exception()  # retrieved, so that asyncio does not log it if no caller waits

    def _pass(self, given: Input, response: Response) -> None:
        if given is Input.PROVISIONAL:
            self._provisional(response)
            if self._cancelled:
                self._cancelled = False
                self.cancel()
            return
        if given is Input.SUCCESS and self.transaction.invite:
            self._success(response)
        if not self._final.done():
            self._final.set_result(Outcome.of(response, self._owner.loop.time() - self.sent_at))

    def _follow_timer(self) -> None:
        """Run the timer of the state; a running timer continues, but timer C restarts with each response (RFC 3261 16.7)."""
        timer = self.transaction.timer
        if timer is not self._running or timer is Timer.C:
            self._running = timer
            if timer is None:
                self._stop()
            else:
                self._run(timer.seconds, timer.input)
        if self.transaction.over:
            self._owner.forget(self)

    def _run(self, seconds: float, given: Input) -> None:
        self._stop()
        error = NoAnswerError(f"no final answer to {self.request.method} {self.request.uri} in {seconds:g} s")
        self._handle = self._owner.loop.call_later(seconds, self.fail, given, error)

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class Exchanges:
    """All requests in progress on one link; *send* writes one, and returns False if the link does not accept it."""

    __slots__ = ("_exchanges", "loop", "send")

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Callable[[Request], bool]) -> None:
        self.loop, self.send = loop, send
        self._exchanges: dict[str, Exchange] = {}

    def start(self, request: Request, provisional: Hear = ignore, success: Hear = ignore) -> Exchange:
        """Send *request*; `Exchange.final` returns the final response."""
        exchange = Exchange(self, request, provisional, success)
        self._exchanges[_key(request)] = exchange
        if not self.send(request):
            exchange.fail(Input.LINK_LOST, NoAnswerError("the link accepts no further requests"))
        return exchange

    def receive(self, response: Response) -> bool:
        """Process a response; return False if no request of ours matches (RFC 3261 18.1.2: it is dropped)."""
        try:
            exchange = self._exchanges.get(client_key(response))
        except RemoteError:
            return False
        if exchange is None:
            return False
        exchange.receive(response)
        return True

    def forget(self, exchange: Exchange) -> None:
        """Drop an exchange that has ended."""
        self._exchanges.pop(_key(exchange.request), None)

    def lose(self, error: Exception) -> None:
        """End all exchanges with *error*, because the link has closed."""
        for exchange in list(self._exchanges.values()):
            exchange.fail(Input.LINK_LOST, error)


def _key(request: Request) -> str:
    return f"{request.top_via.branch} {request.method}"
