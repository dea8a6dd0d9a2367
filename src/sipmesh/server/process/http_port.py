"""An HTTP port of ours without TLS, which anyone may reach: the number of its connections is bounded."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.backoff import network_of
from sipmesh.server.process.http_runner import runner_of

if TYPE_CHECKING:
    from aiohttp import web

    from sipmesh.server.log import Log

MOST_CONNECTIONS: Final = 64


class HttpPort:
    """Serves *app*, which bounds the requests itself (`http_runner.too_many`)."""

    def __init__(self, app: web.Application, log: Log) -> None:
        self._runner = runner_of(app, log)
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> None:
        """Listen; raises `OSError` if the address cannot be used."""
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(self._connection, host, port)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        """Make the handler of a new connection. If there are too many, the oldest one of the address with the most ends.

        So one address that opens connections without end does not keep others out.
        """
        server = self._runner.server
        if server is None:
            return asyncio.Protocol()
        held = [one.transport for one in server.connections if one.transport and not one.transport.is_closing()]
        while len(held) >= MOST_CONNECTIONS:
            counts = Counter(map(_network, held))
            oldest = max(held, key=lambda transport: counts[_network(transport)])  # of two with as many, the older
            held.remove(oldest)
            oldest.abort()
        return server()


def _network(transport: asyncio.Transport) -> str:
    return network_of(transport.get_extra_info("peername", ("",))[0])
