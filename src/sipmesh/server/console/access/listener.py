"""The port of the console: a bounded number of connections, each for a bounded time.

A connection that sends nothing, or half a request, uses a descriptor of the process that has the links to all servers.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.backoff import network_of
from sipmesh.server.console.access.connection import MOST_CONNECTIONS, MOST_OF_ADDRESS, ConsoleConnection, Places

if TYPE_CHECKING:
    import logging

    from aiohttp import web

HANDSHAKES_A_SECOND: Final = 100
"""Handshakes of one address."""

HANDSHAKE_S: Final = 5.0
LAST_REQUEST_S: Final = 30.0
"""Seconds after which a connection is closed with the next response; a browser opens another one."""

LONGEST_S: Final = 60.0
"""Seconds after which a connection is closed in any state."""

AGAIN_S: Final = 0.5
BACKLOG: Final = 64
RECEIVE_OCTETS: Final = 4_096
"""What waits for us in the kernel of one connection, which doubles it. All of it is decrypted in one go, and a TLS KeyUpdate of
27 octets takes 6 us: with the kernel's default, each connection could stop this process for a quarter of a second at a time."""


class ConsoleListener:
    """Accepts connections at *host* and *port* for *server*. Raises OSError as `bind` does."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext, server: web.Server, logger: logging.Logger
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_OCTETS)  # accepted sockets inherit it
        self._socket.setblocking(False)  # noqa: FBT003 - the method has no keyword
        self.address = host, port
        self._context, self._server, self._logger = context, server, logger
        self._places, self._turns = Places(), HandshakeTurns()
        self._serving = set[asyncio.Task[None]]()
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def present(self, context: ssl.SSLContext) -> None:
        """Use *context* for each handshake that begins from now on. The port stays open: no connection is refused meanwhile."""
        self._context = context

    async def close(self) -> None:
        """Stop listening; connections end by themselves, or with their server."""
        self._accepting.cancel()
        with suppress(asyncio.CancelledError):
            await self._accepting
        self._socket.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected, remote = await loop.sock_accept(self._socket)
            except OSError:  # the peer is gone already, or there is no free descriptor
                await asyncio.sleep(AGAIN_S)
                continue
            connection = ConsoleConnection(self._server, self._places, connected, network_of(remote[0]), self._logger)
            self._places.enter(connection)
            task = loop.create_task(self._serve(connected, connection))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
            await asyncio.sleep(0)  # what this one has sent is seen before so many others come that it has to make room

    async def _serve(self, connected: socket.socket, connection: ConsoleConnection) -> None:
        """Serve one connection until it ends, makes room for another one, or its time is over."""
        if not await connection.has_greeted(HANDSHAKE_S):
            connection.leave()
            connected.close()
            return
        try:
            await self._turns.turn_of(connection.principal)
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, connected, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
            )
        except (OSError, ssl.SSLError):
            connection.leave()
            connected.close()
            return
        if not await connection.ends_within(LAST_REQUEST_S):
            connection.keep_alive(False)  # noqa: FBT003 - the method of aiohttp has no keyword
            await connection.ends_within(LONGEST_S - LAST_REQUEST_S)
            await connection.ends_within(connection.longer_s)
        transport.abort()


class HandshakeTurns:
    """Lets each address make `HANDSHAKES_A_SECOND`: a connection beyond waits, since a handshake costs a millisecond here."""

    def __init__(self) -> None:
        self._next = dict[str, float]()

    async def turn_of(self, address: str) -> None:
        """Wait for the turn of one handshake of *address*; so many wait as an address has connections."""
        now = asyncio.get_running_loop().time()
        if len(self._next) >= MOST_CONNECTIONS:
            self._next = {one: at for one, at in self._next.items() if at > now}
        at = min(max(self._next.get(address, 0.0), now), now + MOST_OF_ADDRESS / HANDSHAKES_A_SECOND)
        self._next[address] = at + 1 / HANDSHAKES_A_SECOND
        if at > now:
            await asyncio.sleep(at - now)
