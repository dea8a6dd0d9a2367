"""The metrics of several processes: what is counted is added up, and of all else the highest value is shown."""

from __future__ import annotations

import json

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.merged_metrics import SUMMED, MergedMetrics, packed
from sipmesh.server.admin.metrics.server_metrics import ServerMetrics
from support.network import FE1, Network
from support.running import on_loop


def families(links: float, age: float) -> list[Metric]:
    """The metrics of one process."""
    by_kind = GaugeMetricFamily("sipmesh_links", "Links.", labels=("kind",))
    by_kind.add_metric(("client",), links)
    waits = HistogramMetricFamily("sipmesh_request_seconds", "Seconds.", labels=("method",))
    waits.add_metric(("INVITE",), [("1", links), ("+Inf", links)], links)
    return [
        by_kind,
        waits,
        CounterMetricFamily("sipmesh_messages", "Messages.", value=links),
        GaugeMetricFamily("sipmesh_queue_age_seconds", "Age.", value=age),
        GaugeMetricFamily("sipmesh_audit_lines", "Lines.", labels=("head",)),
    ]


def test_counts_are_added_up_and_ages_are_not() -> None:
    everyone = [json.loads(json.dumps(packed(families(*given)))) for given in ((1, 0.25), (2, 0.5), (4, 0.125))]
    registry = CollectorRegistry()
    registry.register(MergedMetrics(everyone))
    text = generate_latest(registry).decode()
    assert 'sipmesh_links{kind="client"} 7.0' in text
    assert "sipmesh_messages_total 7.0" in text
    assert 'sipmesh_request_seconds_bucket{le="1",method="INVITE"} 7.0' in text
    assert 'sipmesh_request_seconds_sum{method="INVITE"} 7.0' in text
    assert "sipmesh_queue_age_seconds 0.5" in text
    assert "# TYPE sipmesh_audit_lines gauge" in text


@on_loop
async def test_each_gauge_that_is_added_up_is_one_of_a_server(example: Organisation) -> None:
    """A gauge that was renamed would otherwise be shown with the value of one process."""
    async with Network((example,), starts=(FE1,)) as network:
        known = {family.name: family.type for family in ServerMetrics(network.nodes[FE1]).collect()}
    assert {known.get(name) for name in SUMMED} == {"gauge"}
