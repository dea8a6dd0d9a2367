"""Metrics of links: how many there are, what their peers were judged, what waits to be written, which servers answer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from sipmesh.server.running.running_server import RunningServer


def link_metrics(node: RunningServer) -> Iterator[Metric]:
    """Yield the metrics of links."""
    yield _links(node)
    yield GaugeMetricFamily("sipmesh_handshakes_in_flight", "TLS handshakes in progress.", value=_in_flight(node))
    yield _verdicts(node)
    yield from _servers(node)
    yield _upgrades(node)
    yield from _queues(node)


def _links(node: RunningServer) -> Metric:
    family = GaugeMetricFamily("sipmesh_links", "Links, by kind and state.", labels=("kind", "state"))
    counts = Counter((link.port, link.state.value) for link in node.pool.all())
    for labels, count in counts.items():
        family.add_metric(labels, count)
    return family


def _in_flight(node: RunningServer) -> int:
    opening = sum(link.state is LinkState.HANDSHAKE for link in node.pool.all())
    return opening + sum(listener.handshakes for listener in node.listening.listeners)


def _verdicts(node: RunningServer) -> Metric:
    text = "Finished TLS handshakes, by the verdict on the peer."
    family = CounterMetricFamily("sipmesh_link_verdicts", text, labels=("kind", "direction", "code"))
    for labels, count in node.counters.verdicts.items():
        family.add_metric(labels, count)
    return family


def _servers(node: RunningServer) -> Iterator[Metric]:
    """Which servers of the network answer this one, and whether it drains."""
    up = GaugeMetricFamily(
        "sipmesh_server_up",
        "Whether a server of the network answers this one: 1 or 0. No sample: no link to it.",
        labels=("server",),
    )
    outages = CounterMetricFamily(
        "sipmesh_server_outages", "How often a server of the network did not answer this one.", labels=("server",)
    )
    linked = {
        link.peer_name
        for link in node.pool.all()
        if link.kind is LinkKind.SERVER and link.state is LinkState.UP and link.peer_name not in node.outages.names
    }
    for server in sorted(linked):
        up.add_metric((server,), 1)
    for server in sorted(node.outages.names):
        up.add_metric((server,), 0)
    for server, count in node.outages.started.items():
        outages.add_metric((server,), count)
    yield from (up, outages)
    told = "Whether this server drains: 1 or 0."
    yield GaugeMetricFamily("sipmesh_draining", told, value=int(node.core.state.is_draining))


def _upgrades(node: RunningServer) -> Metric:
    """Return how many WebSockets were refused."""
    text = "HTTP requests on a WebSocket port that were refused, by HTTP status."
    family = CounterMetricFamily("sipmesh_websocket_refused", text, labels=("status",))
    for status, count in node.counters.upgrades.items():
        family.add_metric((str(status),), count)
    return family


def _queues(node: RunningServer) -> Iterator[Metric]:
    waiting, blocked = Counter[str](), Counter[str]()
    for link in node.pool.all():
        waiting[str(link.kind)] += link.pending_out
        blocked[str(link.kind)] += link.blocked
    for name, text, counts in (
        ("sipmesh_bytes_waiting", "Octets in the write queues of all links.", waiting),
        ("sipmesh_links_blocked", "Links whose peer does not read.", blocked),
    ):
        family = GaugeMetricFamily(name, text, labels=("kind",))
        for kind, count in counts.items():
            family.add_metric((kind,), count)
        yield family
