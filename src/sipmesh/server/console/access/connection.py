"""One connection to the console, and the places of all.

Until a request on a connection proves an operator, the connection has a place of its address. Connections that have sent nothing
have places of their own: they cost a stranger nothing, and displace no connection whose handshake is under way.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from sipmesh.routing.budget import Budget
from sipmesh.server.console.access.api_refusal import reason_for, refusal_text

if TYPE_CHECKING:
    import logging

MOST_CONNECTIONS: Final = 128
"""Connections of strangers that have sent something; those that have sent nothing, and operators, have as many besides."""

MOST_OF_ADDRESS: Final = 32
MOST_OF_OPERATOR: Final = 32
TOO_LONG: Final = 431
CROWDED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\nRetry-After: 1\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
)
_CROWDED: Final = refusal_text("too many connections of this address, so that the oldest makes room: connect again")


class Stage(Enum):
    """What a connection has shown."""

    SILENT = auto()
    GREETED = auto()
    OPERATOR = auto()


class ConsoleConnection(web.RequestHandler):
    """Reads the requests of one connection with *server*; *principal* has its place in *places*."""

    __slots__ = ("_ended", "_places", "_socket", "longer_s", "principal", "stage")

    def __init__(
        self, server: web.Server, places: Places, connected: socket.socket, principal: str, logger: logging.Logger
    ) -> None:
        super().__init__(
            server, loop=asyncio.get_running_loop(), access_log=logger, logger=logger, auto_decompress=False
        )
        self._places, self._socket, self.principal, self.stage = places, connected, principal, Stage.SILENT
        self._ended = asyncio.Event()
        self.longer_s = 0.0  # beyond what each connection has, for a request that was proved to need it

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give its place back at once."""
        self.leave()
        super().connection_lost(exc)

    def leave(self) -> None:
        """Give its place back; the connection is closed, or could not be opened."""
        self._ended.set()
        self._places.leave(self)

    async def has_greeted(self, seconds: float) -> bool:
        """Wait until the peer sends something: the connection is silent no longer. False if it ends, or after *seconds*."""
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._socket, came.set)
        try:
            await asyncio.wait_for(came.wait(), seconds)
            if not self._socket.recv(1, socket.MSG_PEEK):
                return False
        except OSError:  # TimeoutError is one
            return False
        finally:
            loop.remove_reader(self._socket)
        self._places.greeted(self)
        return True

    async def ends_within(self, seconds: float) -> bool:
        """Wait until it has ended; False if it has not after *seconds*."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()

    def proves(self, operator: str) -> bool:
        """Count for *operator* from now on, of whom this is the first request here; False if *operator* has too many."""
        return self.stage is Stage.OPERATOR or self._places.proved(self, operator)

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
    """The connections of strangers by their address, silent connections apart, and of operators, whom no stranger displaces."""

    def __init__(self) -> None:
        self._of: dict[Stage, Budget[ConsoleConnection]] = {
            Stage.SILENT: Budget(MOST_OF_ADDRESS, MOST_CONNECTIONS),
            Stage.GREETED: Budget(MOST_OF_ADDRESS, MOST_CONNECTIONS),
            Stage.OPERATOR: Budget(MOST_OF_OPERATOR, MOST_CONNECTIONS),
        }

    def enter(self, connection: ConsoleConnection) -> None:
        """Give a new connection a place; the oldest one of its address makes room, or of the address with the most."""
        displaced = self._of[connection.stage].add(connection.principal, connection)
        if displaced is not None:
            displaced.make_room()

    def greeted(self, connection: ConsoleConnection) -> None:
        """Give it a place among those that have sent something."""
        self._move(connection, Stage.GREETED, connection.principal)

    def proved(self, connection: ConsoleConnection, operator: str) -> bool:
        """Give it a place of *operator* instead; False if all of these are taken."""
        if self._of[Stage.OPERATOR].count(operator) >= MOST_OF_OPERATOR:
            return False
        self._move(connection, Stage.OPERATOR, operator)
        return True

    def leave(self, connection: ConsoleConnection) -> None:
        """Forget a connection that has ended."""
        self._of[connection.stage].remove(connection.principal, connection)

    def _move(self, connection: ConsoleConnection, stage: Stage, principal: str) -> None:
        self.leave(connection)
        connection.stage, connection.principal = stage, principal
        self.enter(connection)
