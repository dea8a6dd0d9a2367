"""Metrics of load: turns of the event loop, limits of principals, overload."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from sipmesh.server.running.running_server import RunningServer


def load_metrics(node: RunningServer) -> Iterator[Metric]:
    """Yield the metrics of load."""
    yield from _turns(node)
    yield from _principals(node)
    yield from _overload(node)


def _turns(node: RunningServer) -> Iterator[Metric]:
    """How long the event loop was occupied at a time; the longest turn is the longest since the last scrape."""
    meter = node.reactor.meter
    family = HistogramMetricFamily("sipmesh_loop_turn_seconds", "Seconds of each turn of the event loop.", labels=())
    buckets = [("+Inf" if bound == inf else f"{bound:g}", float(count)) for bound, count in meter.up_to()]
    family.add_metric((), buckets, meter.total)
    yield family
    yield GaugeMetricFamily(
        "sipmesh_loop_turn_longest_seconds",
        "The longest turn of the event loop since the last scrape.",
        value=meter.take_longest(),
    )


def _principals(node: RunningServer) -> Iterator[Metric]:
    """Yield what was refused at the limits of addresses, users, servers and partners, and the highest use of each limit."""
    yield _displaced(node)
    yield from _usage(node)
    strangers, waiting = len(node.accounts.strangers), len(node.failures.waiting)
    yield GaugeMetricFamily("sipmesh_links_without_login", "Client links without a login.", value=strangers)
    yield GaugeMetricFamily("sipmesh_logins_waiting", "Logins that wait for their delay after failures.", value=waiting)
    yield CounterMetricFamily(
        "sipmesh_log_lines_summed", "Log lines that were counted and not written.", value=node.peer_log.summed
    )


def _displaced(node: RunningServer) -> Metric:
    """Return what was closed or dropped at a limit, because something newer needed the place."""
    accounts = node.accounts
    displaced = CounterMetricFamily(
        "sipmesh_displaced",
        "Connections, links and logins that were closed or dropped at a limit.",
        labels=("limit", "kind"),
    )
    for listener in node.listening.listeners:
        silent = listener.places.silent.displaced + listener.silent.displaced
        displaced.add_metric(("silent_per_address", listener.spec.key), silent)
        shaking = listener.places.shaking.displaced + listener.reserved.displaced
        displaced.add_metric(("handshakes_per_address", listener.spec.key), shaking)
    displaced.add_metric(("strangers_per_address", "client"), accounts.strangers.displaced)
    displaced.add_metric(("links_per_user", "client"), accounts.of_users.displaced)
    displaced.add_metric(("logins_waiting", "client"), node.failures.displaced)
    return displaced


def _usage(node: RunningServer) -> Iterator[Metric]:
    """Yield how much the principals use that use most, and how often one was refused more."""
    accounts = node.accounts
    limited = CounterMetricFamily(
        "sipmesh_requests_limited", "Requests that were refused at a limit.", labels=("principal",)
    )
    branches = GaugeMetricFamily(
        "sipmesh_branches_most", "Branches of the principal that has most.", labels=("principal",)
    )
    octets = GaugeMetricFamily(
        "sipmesh_octets_most", "Octets in memory for the principal that has most.", labels=("principal",)
    )
    for kind, count in accounts.refused.items():
        limited.add_metric((kind,), count)
    for kind, account in accounts.fullest().items():
        branches.add_metric((kind,), account.branches)
        octets.add_metric((kind,), account.octets)
    yield from (limited, branches, octets)


def _overload(node: RunningServer) -> Iterator[Metric]:
    """What overload and a lack of file descriptors have done."""
    reactor = node.reactor
    control = reactor.overload
    refused = CounterMetricFamily(
        "sipmesh_overload_refused", "Requests that got 503 because of overload.", labels=("requests",)
    )
    refused.add_metric(("new",), control.refused)
    refused.add_metric(("register-or-dialog",), control.refused_last)
    yield refused
    yield GaugeMetricFamily(
        "sipmesh_queue_age_seconds", "How long inputs wait until they are read.", value=control.age_s
    )
    yield GaugeMetricFamily(
        "sipmesh_overload_share",
        "Share of new requests that get 503 because of overload.",
        value=min(control.loss, 1),
    )
    waiting = sum(listener.waiting.size + listener.silent.size for listener in node.listening.listeners)
    yield GaugeMetricFamily(
        "sipmesh_connections_waiting", "Accepted connections that wait for their handshake.", value=waiting
    )
    yield GaugeMetricFamily(
        "sipmesh_descriptors_short",
        "1 while new links of clients wait because no file descriptor is free.",
        value=float(reactor.shortage.active),
    )
