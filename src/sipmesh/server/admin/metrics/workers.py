"""Metrics of the workers of a server: how many serve, and how often one was started."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from sipmesh.server.admin.replies import WorkerState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client import Metric

    from sipmesh.server.admin.replies import WorkerReply


def worker_metrics(workers: Sequence[WorkerReply]) -> Iterator[Metric]:
    """Yield the metrics of workers; a server of one process has none."""
    states = Counter(worker.state for worker in workers)
    family = GaugeMetricFamily("sipmesh_workers", "Workers of this server, by what they do.", labels=("state",))
    for state in WorkerState:
        family.add_metric((state,), states[state])
    yield family
    starts = sum(worker.starts for worker in workers)
    yield CounterMetricFamily("sipmesh_worker_starts", "How often a worker was started.", value=starts)
