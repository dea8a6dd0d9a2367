"""The agent's end of its link: its identity there, and how a request gets its final response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sipmesh.client.exchange import Exchange, Exchanges, Hear, ignore
from sipmesh.client.login import Login
from sipmesh.client.outcome import Outcome
from sipmesh.client.party import Party
from sipmesh.sip.message import Request, Response
from sipmesh.transport.link.link import Link

MOST_ATTEMPTS = 3
"""The request, the request with credentials, and one more attempt if the server calls the nonce stale."""


class ClientLink:
    """Sends messages on one link, and waits for final responses."""

    __slots__ = ("exchanges", "link", "login", "loop", "party")

    def __init__(self, loop: asyncio.AbstractEventLoop, link: Link, party: Party, login: Login) -> None:
        self.loop, self.link, self.party, self.login = loop, link, party, login
        self.exchanges = Exchanges(loop, self.send)

    def send(self, message: Request | Response) -> bool:
        """Write one message; return False if the link does not accept it."""
        return self.link.send(message.encode())

    async def ask(
        self,
        request: Request,
        provisional: Hear = ignore,
        success: Hear = ignore,
        started: Callable[[Exchange], None] | None = None,
    ) -> Outcome:
        """Send *request* and return its final response; a challenge is answered if we have a password for it.

        *started* is called for each attempt. Raises `NoAnswerError`, or the error that ended the link.
        """
        for _ in range(MOST_ATTEMPTS):
            exchange = self.exchanges.start(request, provisional, success)
            if started is not None:
                started(exchange)
            outcome = await exchange.final()
            credentials = self.login.credentials(request, outcome.response)
            if credentials is None:
                break
            request.remove(credentials[0])
            request = self.party.again(request, [credentials])
        return outcome
