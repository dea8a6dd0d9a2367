"""Metrics of workers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from sipmesh.server.admin.merged_metrics import MergedMetrics, packed
from sipmesh.server.admin.metrics.workers import worker_metrics
from sipmesh.server.admin.replies import WorkerReply, WorkerState


def test_workers_are_counted_by_state() -> None:
    workers = [
        WorkerReply(1, 11, 5.0, 0, 1),
        WorkerReply(2, 12, 5.0, 0, 3, WorkerState.STARTING, "it did not answer"),
        WorkerReply(3, 13, 5.0, 0, 1),
    ]
    registry = CollectorRegistry()
    registry.register(MergedMetrics([packed(worker_metrics(workers))]))
    text = generate_latest(registry).decode()
    for state, count in (("serving", 2), ("silent", 0), ("starting", 1), ("ended", 0)):
        assert f'sipmesh_workers{{state="{state}"}} {count}.0' in text
    assert "sipmesh_worker_starts_total 5.0" in text
