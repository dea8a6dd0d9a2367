"""Metrics of messages: how many there are, which were refused, how long branches wait; calls."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from sipmesh.server.running.running_server import RunningServer


def message_metrics(node: RunningServer) -> Iterator[Metric]:
    """Yield the metrics of messages, branches and calls."""
    yield _messages(node)
    yield _refused_messages(node)
    yield from _calls(node)
    yield from _branches(node)
    yield from _records(node)


def _records(node: RunningServer) -> Iterator[Metric]:
    """Yield how many records of calls and messages were made, wait for the disk, and were lost."""
    buffer = node.relay.records.buffer
    yield CounterMetricFamily(
        "sipmesh_call_records", "Records of calls and messages that were made.", value=buffer.made
    )
    waiting = "Records of calls and messages that wait for the disk."
    yield GaugeMetricFamily("sipmesh_call_records_waiting", waiting, value=len(buffer))
    lost = "Records of calls and messages that were lost: too many waited, or were of one user."
    yield CounterMetricFamily("sipmesh_call_records_lost", lost, value=buffer.left_out)


def _branches(node: RunningServer) -> Iterator[Metric]:
    """Yield how many branches wait, how long they have waited, and how many got no response."""
    waiting = "Branches (client transactions) that wait for a response."
    yield GaugeMetricFamily("sipmesh_requests_waiting", waiting, value=node.relay.load)
    yield _waits(node)
    unanswered = "Branches (client transactions) that timed out without a response."
    count = node.relay.client_transactions.unanswered
    yield CounterMetricFamily("sipmesh_requests_unanswered", unanswered, value=count)


def _messages(node: RunningServer) -> Metric:
    family = CounterMetricFamily(
        "sipmesh_messages", "SIP messages, by kind of link and direction.", labels=("kind", "direction")
    )
    counts = Counter(node.counters.messages)
    for link in node.pool.all():
        counts[str(link.kind), "in"] += link.messages_in
        counts[str(link.kind), "out"] += link.messages_out
    for labels, count in counts.items():
        family.add_metric(labels, count)
    return family


def _refused_messages(node: RunningServer) -> Metric:
    family = CounterMetricFamily("sipmesh_messages_refused", "Refused SIP messages, by verdict code.", labels=("code",))
    for code, count in node.counters.refused_messages.items():
        family.add_metric((code,), count)
    return family


def _calls(node: RunningServer) -> Iterator[Metric]:
    relay = node.relay
    started = "Calls that this server has forwarded: INVITE requests outside a dialog."
    yield CounterMetricFamily("sipmesh_calls_started", started, value=relay.calls_started)
    text = "First final responses to these calls, by status class."
    family = CounterMetricFamily("sipmesh_calls_answered", text, labels=("class",))
    for digit in range(2, 7):
        family.add_metric((f"{digit}xx",), relay.server_transactions.calls_ended[digit])
    yield family
    text = "Final responses to MESSAGE and REGISTER, by status class. A challenge is not counted."
    answered = CounterMetricFamily("sipmesh_requests_answered", text, labels=("method", "class"))
    for method, counts in relay.server_transactions.answered.items():
        for digit in range(2, 7):
            answered.add_metric((method, f"{digit}xx"), counts[digit])
    yield answered
    up = "Calls that are up: a 2xx has passed this server, and no BYE. At most `calls_named`."
    yield GaugeMetricFamily("sipmesh_calls_up", up, value=len(relay.calls))


def _waits(node: RunningServer) -> Metric:
    text = "Seconds from a forwarded request to its final response."
    family = HistogramMetricFamily("sipmesh_request_seconds", text, labels=("method",))
    sent = node.relay.client_transactions
    for method, waits in (("INVITE", sent.invite_waits), ("other", sent.waits)):
        buckets = [("+Inf" if bound == inf else f"{bound:g}", float(count)) for bound, count in waits.up_to()]
        family.add_metric((method,), buckets, waits.total)
    return family
