"""The web phone at management: it shows the ticket of its user, and its page comes from a front end, which is another origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from aiohttp import web

from sipmesh.errors import RemoteError
from sipmesh.server.invitations.strangers import must_be_of_phone
from sipmesh.server.portal.ticket_holder import end_tickets_of, holder_of_ticket
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.topology.document.parts.invitations import LOG_OUT

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.server.invitations.strangers import Strangers
    from sipmesh.server.log import Log
    from sipmesh.server.portal.ticket_holder import TicketHolder
    from sipmesh.topology.view import ServerView

BEARER: Final = "bearer"
LOG_OUTS_A_MINUTE: Final = 20
"""Logins of one user that may be ended in a minute: each is a row until its tickets would have ended."""

Handler = Callable[[web.Request], Awaitable[web.Response]]


def ticket_of(request: web.Request) -> str:
    """Return the ticket of a request, "" if it shows none."""
    scheme, _, ticket = request.headers.get("Authorization", "").partition(" ")
    return ticket.strip(LWS) if ascii_lower(scheme) == BEARER else ""


class TicketLogin:
    """Judges tickets by the topology of *view* at the instant that *now* returns; *strangers* remembers which are right."""

    def __init__(self, view: Callable[[], ServerView], now: Callable[[], datetime], strangers: Strangers) -> None:
        self._view, self._now, self._strangers = view, now, strangers

    async def holder(self, request: web.Request) -> TicketHolder | None:
        """Return who shows a ticket, None for a wrong one; raises 429 for too many requests of the user."""
        try:
            holder = await off_loop(holder_of_ticket, self._view(), ticket_of(request), self._now())
        except RemoteError:
            holder = None
        self._strangers.judged(request, holder.user if holder is not None else "")
        return holder

    async def end(self, holder: TicketHolder) -> None:
        """End all tickets of the login of *holder*."""
        await off_loop(end_tickets_of, self._view(), holder, self._now())

    def for_phone(self, act: Handler) -> Handler:
        """Return the handler that does *act*; a page of another site gets HTTP 403."""

        async def answer(request: web.Request) -> web.Response:
            if "Origin" in request.headers:
                must_be_of_phone(self._view(), request)
            return await act(request)

        return answer

    def preflight(self, request: web.Request, methods: Sequence[str]) -> web.Response:
        """Let the page of the web phone send these *methods*; raises HTTP 403 for a page of another site."""
        must_be_of_phone(self._view(), request)
        headers = {
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": "600",
        }
        return web.Response(status=204, headers=headers)


class LogOut:
    """Ends the login of who shows a ticket of *tickets*; *strangers* counts wrong tickets, *clock* returns seconds."""

    def __init__(self, tickets: TicketLogin, strangers: Strangers, clock: Callable[[], float], log: Log) -> None:
        self._tickets, self._strangers, self._log = tickets, strangers, log
        self._rates = RequestRate(LOG_OUTS_A_MINUTE, clock)

    def routes(self) -> list[web.RouteDef]:
        """Return the path."""
        return [web.options(LOG_OUT, self._preflight), web.post(LOG_OUT, self._tickets.for_phone(self._end))]

    async def _preflight(self, request: web.Request) -> web.Response:
        return self._tickets.preflight(request, ("POST",))

    async def _end(self, request: web.Request) -> web.Response:
        holder = await self._tickets.holder(request)
        if holder is None:
            raise self._strangers.wrong_login(request, ("Bearer",))
        if not self._rates.admits(holder.user):
            raise too_many()
        await self._tickets.end(holder)
        self._log.info("web phone logged out", user=holder.user)
        return web.Response(status=204)
