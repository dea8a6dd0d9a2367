"""Metrics over HTTP: `/metrics` for Prometheus, and `/health`. Without a `metrics` address in the topology there are none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from sipmesh.errors import OperatorError, Problem
from sipmesh.server.admin.metrics.server_metrics import ServerMetrics
from sipmesh.server.admin.metrics.versions import ending
from sipmesh.server.process.http_runner import runner_of
from sipmesh.topology.expiry.inventory_entry import ExpiringKind
from sipmesh.topology.expiry.urgency import Urgency

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client.registry import Collector

    from sipmesh.server.running.running_server import RunningServer


class Workers(Protocol):
    """The other processes of a server (`workers.supervisor.Supervisor`)."""

    async def ask_all(self, command: str, **given: Any) -> Mapping[int, Any]:
        """Ask every process, and return the results by its number."""


class MetricsPage:
    """The HTTP server of the metrics. It has no TLS and no password; by default it listens on the loopback address."""

    def __init__(self, node: RunningServer, workers: Workers | None = None) -> None:
        self._node, self._workers = node, workers
        self._metrics_of_node = ServerMetrics(node)
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        return f"<MetricsPage of {self._node.view.name} at {self._node.view.metrics}>"

    async def open(self) -> None:
        """Listen on the address that the topology has; raises `OperatorError` without an address, or if it cannot be used."""
        if self._node.view.metrics is None:
            raise OperatorError(f"{self._node.view.name} has no `metrics` address in the topology")
        app = web.Application()
        app.add_routes([web.get("/metrics", self._metrics), web.get("/health", self._health)])
        self._runner = runner_of(app, self._node.log)
        await self._runner.setup()
        host, port = self._node.view.metrics
        try:
            await web.TCPSite(self._runner, host, port).start()
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
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _metrics(self, _request: web.Request) -> web.Response:
        registry = CollectorRegistry()
        registry.register(self._metrics_of_node if self._workers is None else await self._of_all(self._workers))
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _of_all(self, workers: Workers) -> Collector:
        """Collect the metrics of all processes of this server."""
        from sipmesh.server.admin.merged_metrics import MergedMetrics, packed

        others = await workers.ask_all("metrics")
        return MergedMetrics([packed(self._metrics_of_node.collect()), *others.values()])

    async def _health(self, _request: web.Request) -> web.Response:
        """Answer 503 if this server drains, or if a certificate or CRL that it needs has expired or cannot be used, else 200."""
        at = datetime.now(UTC)
        # A partner has to repair its own URL, so an unreachable URL does not make this server unhealthy.
        entries = (entry for entry in ending(self._node, at) if entry.what is not ExpiringKind.SOURCE)
        why = [entry.sentence(at) for entry in entries if entry.broken or entry.level is Urgency.PAST]
        if self._node.dispatch.is_draining:
            why.append("this server drains")
        health = {"server": self._node.view.name, "healthy": not why, "why": why}
        return web.json_response(health, status=503 if why else 200)
