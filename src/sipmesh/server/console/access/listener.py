"""The port of the console: a bounded number of connections, each for a bounded time.

A connection that sends nothing, or half a request, uses a descriptor of the process that has the links to all servers.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.backoff import network_of
from sipmesh.routing.budget import Budget

if TYPE_CHECKING:
    from aiohttp.web_protocol import RequestHandler

MOST_CONNECTIONS: Final = 128
MOST_OF_ADDRESS: Final = 32
HANDSHAKE_S: Final = 5.0
LAST_REQUEST_S: Final = 30.0
"""Seconds after which a connection is closed with the next response; a browser opens another one."""

LONGEST_S: Final = 60.0
"""Seconds after which a connection is closed, whatever it does."""

LOOK_EVERY_S: Final = 0.5
BACKLOG: Final = 64
RECEIVE_OCTETS: Final = 4_096
"""What waits for us in the kernel of one connection, which doubles it. All of it is decrypted in one go, and a TLS KeyUpdate of
27 octets takes 6 us: with the kernel's default, each connection could stop this process for a quarter of a second at a time."""


class ConsoleListener:
    """Accepts connections at *host* and *port*; *make* returns the handler of a connection. Raises OSError as `bind` does.

    If all places are taken, the oldest connection of the address with the most makes room. So some addresses that hold all of
    them keep no operator out.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext, make: Callable[[], RequestHandler]) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_OCTETS)  # accepted sockets inherit it
        self._socket.setblocking(False)  # noqa: FBT003 - the method has no keyword
        self._context, self._make = context, make
        self._connections: Budget[asyncio.Task[None]] = Budget(MOST_OF_ADDRESS, MOST_CONNECTIONS)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def __repr__(self) -> str:
        return f"<ConsoleListener with {len(self._connections)} connections>"

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
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            address = network_of(str(remote[0]))
            if self._connections.count(address) >= MOST_OF_ADDRESS:
                connected.close()
                continue
            task = loop.create_task(self._serve(connected))
            task.add_done_callback(partial(self._ended, address, connected))
            displaced = self._connections.add(address, task)
            if displaced is not None:
                displaced.cancel()

    def _ended(self, address: str, connected: socket.socket, task: asyncio.Task[None]) -> None:
        self._connections.remove(address, task)
        if task.cancelled():  # also before it was served
            connected.close()

    async def _serve(self, connected: socket.socket) -> None:
        """Serve one connection until it ends, or its time is over."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            transport, handler = await loop.connect_accepted_socket(
                self._make, connected, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
            )
        except (OSError, ssl.SSLError):
            connected.close()
            return
        try:
            await self._bound(transport, handler, began)
        finally:
            transport.abort()

    async def _bound(self, transport: asyncio.Transport, handler: RequestHandler, began: float) -> None:
        """Return when the connection is closed, or its time is over."""
        loop = asyncio.get_running_loop()
        while not transport.is_closing() and (age_s := loop.time() - began) < LONGEST_S:
            if age_s >= LAST_REQUEST_S:
                handler.keep_alive(False)  # noqa: FBT003 - the method of aiohttp has no keyword
            await asyncio.sleep(LOOK_EVERY_S)
