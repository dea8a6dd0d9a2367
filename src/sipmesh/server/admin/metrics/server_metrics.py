"""All metrics of one server; each is read when Prometheus asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from sipmesh.server.admin.metrics.links import link_metrics
from sipmesh.server.admin.metrics.load import load_metrics
from sipmesh.server.admin.metrics.messages import message_metrics
from sipmesh.server.admin.metrics.users import user_metrics
from sipmesh.server.admin.metrics.versions import version_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from sipmesh.server.running.running_server import RunningServer


class ServerMetrics(Collector):
    """The metrics of one server, with their present values."""

    def __init__(self, node: RunningServer) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its present value."""
        for metrics in (link_metrics, message_metrics, user_metrics, load_metrics, version_metrics):
            yield from metrics(self._node)
