"""The figures of management over the TLS of the console, for a program with the token or the certificate of an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from sipmesh.server.admin.metrics.figures import Figures

if TYPE_CHECKING:
    from sipmesh.server.console.access.guard import Guard
    from sipmesh.server.running.running_server import RunningServer

PATH: Final = "/metrics"
UNKNOWN: Final = "send a token of the topology as Authorization: Bearer, or use a certificate of an operator\n"


class ConsoleMetrics:
    """Gives the figures of *node* to each operator that *guard* knows: every role may read."""

    def __init__(self, node: RunningServer, guard: Guard) -> None:
        self._figures, self._guard = Figures(node), guard

    def routes(self) -> list[web.RouteDef]:
        """Return the path of the figures."""
        return [web.get(PATH, self._metrics)]

    async def _metrics(self, request: web.Request) -> web.Response:
        if self._guard.identify_program(request) is None:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"}, text=UNKNOWN)
        return web.Response(body=await self._figures.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
