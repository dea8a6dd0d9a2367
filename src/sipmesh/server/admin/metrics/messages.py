"""Metrics of messages: how many there are, which were refused, how long branches wait; calls."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from sipmesh.server.admin.status_report import trunks_of
from sipmesh.server.proxy.calls.call_bounds import BOUNDS

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
    yield from _histories(node)
    yield from _rtpengine(node)


def _rtpengine(node: RunningServer) -> Iterator[Metric]:
    """Yield whether the rtpengine of this host answers, the commands to it, and the dialogs whose media pass it."""
    bridges = node.relay.calls.bridges
    control = bridges.control
    away = GaugeMetricFamily("sipmesh_rtpengine_away", "1 if the rtpengine of this host does not answer, else 0.")
    if control.port:
        away.add_metric((), float(control.is_away))
    yield away
    waiting = "Commands to rtpengine that wait for their reply."
    yield GaugeMetricFamily("sipmesh_rtpengine_commands_waiting", waiting, value=control.waiting)
    failed = "Commands to rtpengine without a useful reply."
    yield CounterMetricFamily("sipmesh_rtpengine_commands_failed", failed, value=control.failed)
    yield GaugeMetricFamily("sipmesh_bridged_dialogs", "Dialogs whose media pass rtpengine.", value=len(bridges))


def _records(node: RunningServer) -> Iterator[Metric]:
    """Yield how many records of calls and messages were made, wait for the disk, and were lost."""
    buffer = node.relay.calls.records.buffer
    yield CounterMetricFamily(
        "sipmesh_call_records", "Records of calls and messages that were made.", value=buffer.made
    )
    waiting = "Records of calls and messages that wait for the disk."
    yield GaugeMetricFamily("sipmesh_call_records_waiting", waiting, value=len(buffer))
    lost = "Records of calls and messages that were lost: too many waited, or were of one user."
    yield CounterMetricFamily("sipmesh_call_records_lost", lost, value=buffer.left_out)


def _histories(node: RunningServer) -> Iterator[Metric]:
    """Yield how many entries of message histories were written, and how many were lost."""
    history = node.events.history
    kept = "Entries of message histories that were written: one each of the sender and of the receiver of a message."
    yield CounterMetricFamily("sipmesh_history_entries", kept, value=history.kept)
    lost = "Such entries that were lost: the database could not be written, or too much waited for it."
    yield CounterMetricFamily("sipmesh_history_entries_lost", lost, value=history.lost)


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
    bounds = "Calls through trunks that were refused or ended by a bound, by bound."
    reached = CounterMetricFamily("sipmesh_call_bounds_reached", bounds, labels=("bound",))
    for bound in BOUNDS:
        reached.add_metric((bound,), relay.calls.bounds.reached[bound])
    yield reached
    up = "Calls that are up: a 2xx has passed this server, and no BYE. At most `calls_named`."
    yield GaugeMetricFamily("sipmesh_calls_up", up, value=len(relay.calls.table))
    with_trunks = "Calls that are up with a trunk at this gateway: each has one of its channels."
    channels = GaugeMetricFamily("sipmesh_trunk_calls", with_trunks, labels=("trunk",))
    told = "Minutes of our users' calls through a trunk at this gateway in 24 hours."
    minutes = GaugeMetricFamily("sipmesh_trunk_minutes", told, labels=("trunk",))
    for one in trunks_of(node):
        channels.add_metric((one.trunk,), one.calls)
        minutes.add_metric((one.trunk,), one.minutes)
    yield channels
    yield minutes


def _waits(node: RunningServer) -> Metric:
    text = "Seconds from a forwarded request to its final response."
    family = HistogramMetricFamily("sipmesh_request_seconds", text, labels=("method",))
    sent = node.relay.client_transactions
    for method, waits in (("INVITE", sent.invite_waits), ("other", sent.waits)):
        buckets = [("+Inf" if bound == inf else f"{bound:g}", float(count)) for bound, count in waits.up_to()]
        family.add_metric((method,), buckets, waits.total)
    return family
