"""One connection to the console, and the places of all: until a request on it proves an operator, its address has its place."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from sipmesh.routing.budget import Budget
from sipmesh.server.console.access.api_refusal import reason_for, refusal_text

if TYPE_CHECKING:
    import logging

MOST_CONNECTIONS: Final = 128
"""Connections of strangers; operators have as many besides."""

MOST_OF_ADDRESS: Final = 32
MOST_OF_OPERATOR: Final = 32
TOO_LONG: Final = 431
CROWDED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\nRetry-After: 1\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
)
_CROWDED: Final = refusal_text("too many connections of this address, so that the oldest makes room: connect again")


class ConsoleConnection(web.RequestHandler):
    """Reads the requests of one connection with *server*; *principal* has its place in *places*."""

    __slots__ = ("_ended", "_places", "_socket", "has_proved", "principal")

    def __init__(
        self, server: web.Server, places: Places, connected: socket.socket, principal: str, logger: logging.Logger
    ) -> None:
        super().__init__(
            server, loop=asyncio.get_running_loop(), access_log=logger, logger=logger, auto_decompress=False
        )
        self._places, self._socket, self.principal, self.has_proved = places, connected, principal, False
        self._ended = asyncio.Event()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give its place back at once."""
        self.leave()
        super().connection_lost(exc)

    def leave(self) -> None:
        """Give its place back; the connection is closed, or could not be opened."""
        self._ended.set()
        self._places.leave(self)

    async def ends_within(self, seconds: float) -> bool:
        """Wait until it has ended; False if it has not after *seconds*."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()

    def proves(self, operator: str) -> bool:
        """Count for *operator* from now on, of whom this is the first request here; False if *operator* has too many."""
        return self.has_proved or self._places.proved(self, operator)

    def make_room(self) -> None:
        """End, with 503 if the handshake is made."""
        if self.transport is None:
            with suppress(OSError):  # the peer is gone already
                self._socket.shutdown(socket.SHUT_RDWR)
            return
        self.transport.write(CROWDED % (len(_CROWDED), _CROWDED.encode()))
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the parser refuses in the words of the API; nothing of the request is in the answer."""
        status = TOO_LONG if isinstance(exc, LineTooLong) else status
        super().handle_error(request, status, exc, message)
        answer = web.Response(status=status, text=refusal_text(reason_for(status)), content_type="application/json")
        answer.force_close()
        return answer


class Places:
    """The connections of strangers by their address, and those of operators, whom no stranger displaces."""

    def __init__(self) -> None:
        self._strangers: Budget[ConsoleConnection] = Budget(MOST_OF_ADDRESS, MOST_CONNECTIONS)
        self._operators: Budget[ConsoleConnection] = Budget(MOST_OF_OPERATOR, MOST_CONNECTIONS)

    def enter(self, connection: ConsoleConnection) -> None:
        """Give a new connection a place; the oldest one of its address makes room, or of the address with the most."""
        self._add(self._strangers, connection)

    def proved(self, connection: ConsoleConnection, operator: str) -> bool:
        """Give it a place of *operator* instead; False if all of these are taken."""
        if self._operators.count(operator) >= MOST_OF_OPERATOR:
            return False
        self._strangers.remove(connection.principal, connection)
        connection.principal, connection.has_proved = operator, True
        self._add(self._operators, connection)
        return True

    def leave(self, connection: ConsoleConnection) -> None:
        """Forget a connection that has ended."""
        held = self._operators if connection.has_proved else self._strangers
        held.remove(connection.principal, connection)

    def _add(self, places: Budget[ConsoleConnection], connection: ConsoleConnection) -> None:
        displaced = places.add(connection.principal, connection)
        if displaced is not None:
            displaced.make_room()
