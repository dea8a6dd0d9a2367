"""Metrics of users: registrations and their store, logins, subscriptions, stored messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from sipmesh.server.admin.status_report import files_of
from sipmesh.storage.messages import Storing
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from sipmesh.server.running.running_server import RunningServer


def user_metrics(node: RunningServer) -> Iterator[Metric]:
    """Yield the metrics of users; a server without registrations has few samples of them."""
    yield from _users(node)
    yield from _store(node)
    yield from _stored_messages(node)
    yield from _event_state(node)
    yield from _files(node)


def _files(node: RunningServer) -> Iterator[Metric]:
    """Yield the files that users have sent; a server that is no management server has no samples."""
    files = files_of(node)
    kept, octets = "Files that users have sent and that are there.", "Octets of these files."
    yield GaugeMetricFamily("sipmesh_files", kept, value=files.kept if files is not None else None)
    yield GaugeMetricFamily("sipmesh_files_octets", octets, value=files.octets if files is not None else None)
    family = CounterMetricFamily(
        "sipmesh_files_refused", "Uploads that were refused, by HTTP status.", labels=("status",)
    )
    for status, count in node.counters.files.refused.items():
        family.add_metric((str(status),), count)
    yield family


def _users(node: RunningServer) -> Iterator[Metric]:
    """Yield registrations and logins; a server without logins has no samples."""
    registrations = GaugeMetricFamily(
        "sipmesh_registrations", "Registrations (bindings) on links of this server.", labels=()
    )
    text = "Logins, by result; failed logins also by flaw."
    family = CounterMetricFamily("sipmesh_logins", text, labels=("result", "flaw"))
    if node.view.role is Role.FRONT_END:
        registrations.add_metric((), node.registrations.count())
        family.add_metric(("ok", ""), node.logins.succeeded)
        for flaw, count in node.logins.failed.items():
            family.add_metric(("failed", flaw), count)
    yield from (registrations, family)
    text = "Client links that failed before a login, by reason."
    failed = CounterMetricFamily("sipmesh_client_links_failed", text, labels=("reason",))
    for reason, count in node.gatekeeper.client_refusals.counts.items():
        failed.add_metric((str(reason),), count)
    yield failed


def _store(node: RunningServer) -> Iterator[Metric]:
    """How the store of the bindings does; a server without registrations has no samples."""
    waiting = GaugeMetricFamily(
        "sipmesh_registration_writes_waiting", "Changes of registrations that are not stored yet.", labels=()
    )
    batches = CounterMetricFamily(
        "sipmesh_registration_batches", "Transactions that have stored changes of registrations.", labels=()
    )
    writes = CounterMetricFamily("sipmesh_registration_writes", "Changes of registrations that were stored.", labels=())
    failures = GaugeMetricFamily(
        "sipmesh_registration_store_failures",
        "Attempts to store registrations that have failed since the last success; the label has the last error.",
        labels=("error",),
    )
    if node.view.role is Role.FRONT_END:
        health = node.registrations.health
        waiting.add_metric((), health.waiting)
        batches.add_metric((), health.batches)
        writes.add_metric((), health.writes)
        failures.add_metric((health.last_error if health.failures else "",), health.failures)
    yield from (waiting, batches, writes, failures)


def _stored_messages(node: RunningServer) -> Iterator[Metric]:
    """Messages for users who are not registered; a server without registrations has no samples."""
    stored = CounterMetricFamily(
        "sipmesh_messages_stored",
        "Messages to users who were not registered, by what has become of them.",
        labels=("result",),
    )
    delivered = CounterMetricFamily(
        "sipmesh_stored_messages_delivered", "Stored messages that a phone of their user has accepted.", labels=()
    )
    waiting = GaugeMetricFamily(
        "sipmesh_stored_messages_waiting", "Messages in the database that this server uses.", labels=()
    )
    if node.view.role is Role.FRONT_END:
        events = node.events
        for result in Storing:
            stored.add_metric((result.value,), events.storing.counts[result])
        delivered.add_metric((), events.delivery.delivered)
        waiting.add_metric((), events.messages_waiting)
    yield from (stored, delivered, waiting)


def _event_state(node: RunningServer) -> Iterator[Metric]:
    """Subscriptions and publications of users; a server without registrations has no samples."""
    subscriptions = GaugeMetricFamily(
        "sipmesh_subscriptions", "Subscriptions of which this server is the notifier.", labels=()
    )
    publications = GaugeMetricFamily(
        "sipmesh_publications", "Presence documents that devices have published at this server.", labels=()
    )
    if node.view.role is Role.FRONT_END:
        subscriptions.add_metric((), len(node.events.notifier))
        publications.add_metric((), node.events.notifier.publications)
    yield from (subscriptions, publications)
