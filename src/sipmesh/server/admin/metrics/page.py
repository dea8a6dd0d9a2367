"""Metrics over HTTP: `/metrics` for Prometheus, and `/health`. Without a `metrics` address in the topology there are none.

Both run on the loop that carries the messages, and have no password. So the figures are collected once a second at most, and the
requests of an address and the connections are bounded.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from sipmesh.errors import OperatorError, Problem
from sipmesh.routing.authentication.backoff import network_of
from sipmesh.server.admin.metrics.server_metrics import ServerMetrics
from sipmesh.server.admin.metrics.versions import ending
from sipmesh.server.admin.replies import WorkerState
from sipmesh.server.process.http_port import HttpPort
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.sip.text import ascii_lower
from sipmesh.topology.expiry.inventory_entry import ExpiringKind
from sipmesh.topology.expiry.urgency import Urgency

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prometheus_client.registry import Collector

    from sipmesh.server.admin.replies import WorkerReply
    from sipmesh.server.running.running_server import RunningServer


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FRESH_S: Final = 1.0
"""Seconds for which every client gets the figures that were collected last."""

REQUESTS_A_MINUTE: Final = 600
"""Requests of one address."""


class Workers(Protocol):
    """The other processes of a server (`workers.supervisor.Supervisor`)."""

    async def ask_all(self, command: str, **given: Any) -> Mapping[int, Any]:
        """Ask every process that answers, and return the results by its number."""

    def workers(self) -> Sequence[WorkerReply]:
        """Return every worker, also those that do not serve."""


class MetricsPage:
    """The HTTP server of the metrics. It has no TLS and no password; by default it listens on the loopback address.

    Every client gets the figures that were collected last, for *fresh_s* seconds.
    """

    def __init__(self, node: RunningServer, workers: Workers | None = None, *, fresh_s: float = FRESH_S) -> None:
        self._node, self._workers, self._fresh_s = node, workers, fresh_s
        self._metrics_of_node = ServerMetrics(node)
        self._port: HttpPort | None = None
        self._rate = RequestRate(REQUESTS_A_MINUTE, node.loop.time)
        self._figures, self._figures_until, self._collecting = b"", 0.0, asyncio.Lock()

    async def open(self) -> None:
        """Listen on the address that the topology has; raises `OperatorError` without an address, or if it cannot be used."""
        if self._node.view.metrics is None:
            raise OperatorError(f"{self._node.view.name} has no `metrics` address in the topology")
        app = web.Application(middlewares=[self._guarded])
        app.add_routes([web.get("/metrics", self._metrics), web.get("/health", self._health)])
        self._port = HttpPort(app, self._node.log)
        host, port = self._node.view.metrics
        try:
            await self._port.open(host, port)
        except OSError as wrong:
            place = Problem(
                self._node.file,
                0,
                "metrics",
                str(wrong),
                "set another `metrics` address for this server in the topology",
            )
            raise OperatorError(f"no metrics on {host} port {port}", (place,)) from wrong

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
        async with self._collecting:
            if (now := self._node.loop.time()) >= self._figures_until:
                registry = CollectorRegistry()
                registry.register(self._metrics_of_node if self._workers is None else await self._of_all(self._workers))
                self._figures, self._figures_until = generate_latest(registry), now + self._fresh_s
        return web.Response(body=self._figures, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _of_all(self, workers: Workers) -> Collector:
        """Collect the metrics of all processes of this server."""
        from sipmesh.server.admin.merged_metrics import MergedMetrics, packed
        from sipmesh.server.admin.metrics.workers import worker_metrics

        others = await workers.ask_all("metrics")
        own = [packed(self._metrics_of_node.collect()), packed(worker_metrics(workers.workers()))]
        return MergedMetrics([*own, *others.values()])

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
