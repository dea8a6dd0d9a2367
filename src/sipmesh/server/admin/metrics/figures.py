"""The figures of one server as Prometheus reads them, collected once a second at most."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from prometheus_client import CollectorRegistry, generate_latest

from sipmesh.server.admin.metrics.server_metrics import ServerMetrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prometheus_client.registry import Collector

    from sipmesh.server.admin.replies import WorkerReply
    from sipmesh.server.running.running_server import RunningServer

FRESH_S: Final = 1.0
"""Seconds for which every client gets the figures that were collected last."""


class Workers(Protocol):
    """The other processes of a server (`workers.supervisor.Supervisor`)."""

    async def ask_all(self, command: str, **given: Any) -> Mapping[int, Any]:
        """Ask every process that answers, and return the results by its number."""

    def workers(self) -> Sequence[WorkerReply]:
        """Return every worker, also those that do not serve."""


class Figures:
    """The figures of *node* and of its *workers*; they stay the same for *fresh_s* seconds."""

    def __init__(self, node: RunningServer, workers: Workers | None = None, *, fresh_s: float = FRESH_S) -> None:
        self._node, self._workers, self._fresh_s = node, workers, fresh_s
        self._of_node = ServerMetrics(node)
        self._text, self._until, self._collecting = b"", 0.0, asyncio.Lock()

    async def text(self) -> bytes:
        """Return the figures in the text format of Prometheus."""
        async with self._collecting:
            if (now := self._node.loop.time()) >= self._until:
                registry = CollectorRegistry()
                registry.register(self._of_node if self._workers is None else await self._of_all(self._workers))
                self._text, self._until = generate_latest(registry), now + self._fresh_s
        return self._text

    async def _of_all(self, workers: Workers) -> Collector:
        """Collect the metrics of all processes of this server."""
        from sipmesh.server.admin.merged_metrics import MergedMetrics, packed
        from sipmesh.server.admin.metrics.workers import worker_metrics

        others = await workers.ask_all("metrics")
        own = [packed(self._of_node.collect()), packed(worker_metrics(workers.workers()))]
        return MergedMetrics([*own, *others.values()])
