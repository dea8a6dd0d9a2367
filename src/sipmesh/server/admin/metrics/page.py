"""Metrics over HTTP: `/metrics` for Prometheus, and `/health`. Without a `metrics` address in the topology there are none.

Both run on the loop that carries the messages, and without `metrics_tls` strangers may ask. So the figures are collected once a
second at most, and the requests of an address and the connections are bounded.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from sipmesh.errors import OperatorError, Problem
from sipmesh.routing.authentication.backoff import network_of
from sipmesh.server.admin.metrics.figures import FRESH_S, Figures, Workers
from sipmesh.server.admin.metrics.versions import ending
from sipmesh.server.admin.replies import WorkerState
from sipmesh.server.process.http_port import HttpPort
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.sip.text import ascii_lower
from sipmesh.topology.expiry.inventory_entry import ExpiringKind
from sipmesh.topology.expiry.urgency import Urgency

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware

    from sipmesh.server.running.running_server import RunningServer


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUESTS_A_MINUTE: Final = 600
"""Requests of one address."""


class Port(Protocol):
    """Where the page is served."""

    async def open(self, host: str, port: int) -> None:
        """Listen; raises `OSError` if the address cannot be used."""

    async def close(self) -> None:
        """Stop listening."""


class Protection(Protocol):
    """Who may read the page, and how it is served to them."""

    @property
    def admit(self) -> Middleware:
        """Refuse all others."""

    def port(self, app: web.Application) -> Port:
        """Return the port that serves *app*."""


class MetricsPage:
    """The HTTP server of the metrics. Without *protection* it has no TLS and no password; by default it is on loopback.

    Every client gets the figures that were collected last, for *fresh_s* seconds.
    """

    def __init__(
        self,
        node: RunningServer,
        workers: Workers | None = None,
        *,
        fresh_s: float = FRESH_S,
        protection: Protection | None = None,
    ) -> None:
        self._node, self._workers, self._protection = node, workers, protection
        self._figures = Figures(node, workers, fresh_s=fresh_s)
        self._port: Port | None = None
        self._rate = RequestRate(REQUESTS_A_MINUTE, node.loop.time)

    async def open(self) -> None:
        """Listen on the address that the topology has; raises `OperatorError` without an address, or if it cannot be used."""
        if self._node.view.metrics is None:
            raise OperatorError(f"{self._node.view.name} has no `metrics` address in the topology")
        self._port = opened = self._made()
        host, port = self._node.view.metrics
        try:
            await opened.open(host, port)
        except OSError as wrong:
            place = Problem(
                self._node.file,
                0,
                "metrics",
                str(wrong),
                "set another `metrics` address for this server in the topology",
            )
            raise OperatorError(f"no metrics on {host} port {port}", (place,)) from wrong

    def _made(self) -> Port:
        only = self._protection
        app = web.Application(middlewares=[self._guarded, *((only.admit,) if only is not None else ())])
        app.add_routes([web.get("/metrics", self._metrics), web.get("/health", self._health)])
        return HttpPort(app, self._node.log) if only is None else only.port(app)

    async def close(self) -> None:
        """Stop listening."""
        port, self._port = self._port, None
        if port is not None:
            await port.close()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a request for another host, and too many of one address."""
        if not self._is_for_us(request.headers.get("Host")):
            raise web.HTTPMisdirectedRequest(text=f"ask for {self._node.view.name}, or for the address of this port\n")
        if not self._rate.admits(network_of(request.remote or "")):
            raise too_many()
        return await handler(request)

    def _is_for_us(self, host: str | None) -> bool:
        """Tell whether Host is an address, or a name of this server.

        A page of another site, whose name DNS leads here (DNS rebinding), must not read the figures. A browser names that site.
        """
        if host is None:
            return True
        name = ascii_lower(host)
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        try:
            return bool(ip_address(name))
        except ValueError:
            return name in {self._node.view.name, "localhost", ascii_lower(socket.gethostname())}

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=await self._figures.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _health(self, _request: web.Request) -> web.Response:
        """Answer 503 if this server drains, if none of its workers serves, or if it needs what has expired or cannot be used.

        Otherwise answer 200.
        """
        at = datetime.now(UTC)
        # A partner has to repair its own URL, so an unreachable URL does not make this server unhealthy.
        entries = (entry for entry in ending(self._node, at) if entry.what is not ExpiringKind.SOURCE)
        why = [entry.sentence(at) for entry in entries if entry.broken or entry.level is Urgency.PAST]
        if self._node.core.state.is_draining:
            why.append("this server drains")
        elif self._workers is not None and not any(one.state is WorkerState.SERVING for one in self._workers.workers()):
            why.append("no worker of this server serves")
        health = {"server": self._node.view.name, "healthy": not why, "why": why}
        return web.json_response(health, status=503 if why else 200)
