"""Metrics of what a server has in force: certificates and CRLs that expire, their sources, versions of the topology."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from sipmesh.server.admin.expiry_warnings import concerning, stock_of
from sipmesh.server.management.controller import Controller
from sipmesh.server.replication.server_status import PeerKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.expiry.inventory_entry import InventoryEntry


def version_metrics(node: RunningServer) -> Iterator[Metric]:
    """Yield the metrics of what is in force."""
    yield _ends(node)
    yield _failing(node)
    yield _not_taken(node)
    yield _not_renewed(node)
    yield _enrolments(node)
    yield from _versions(node)
    yield from _of_management(node)
    yield from _directory(node)


def _enrolments(node: RunningServer) -> Metric:
    text = "Requests for a certificate by EST or ACME, by protocol and outcome: issued, or the reason of a refusal."
    family = CounterMetricFamily("sipmesh_enrolments", text, labels=("protocol", "outcome"))
    for labels, count in node.counters.enrolments.items():
        family.add_metric(labels, count)
    return family


def ending(node: RunningServer, at: datetime) -> list[InventoryEntry]:
    """Return every certificate and CRL that this server depends on, each with its end."""
    return list(concerning(node, stock_of(node, at).entries))


def _not_taken(node: RunningServer) -> Metric:
    text = "New certificates that this server rejected; it uses the old certificates."
    count = sum(1 for _ in node.certificates.faults)
    return GaugeMetricFamily("sipmesh_certificates_not_taken", text, value=count)


def _not_renewed(node: RunningServer) -> Metric:
    text = "Seconds since the orders at the public CA began to fail; 0 if the last one went well. None without one."
    family = GaugeMetricFamily("sipmesh_public_certificate_failing_seconds", text, labels=("file",))
    order, at = node.view.acme_order, node.gatekeeper.clock()
    for chain in node.certificates.for_clients.chains if order is not None else ():
        failing = (at - chain.renewal.since).total_seconds() if chain.renewal is not None else 0.0
        family.add_metric((chain.file,), failing)
    return family


def _ends(node: RunningServer) -> Metric:
    text = "Seconds until a certificate or CRL expires; negative after that."
    family = GaugeMetricFamily("sipmesh_ends_in_seconds", text, labels=("what", "name"))
    at = datetime.now(UTC)
    left: dict[tuple[str, str], float] = {}
    for entry in ending(node, at):
        if entry.item is not None:
            what = f"{entry.what} for partners" if entry.outside else str(entry.what)
            seconds = (entry.item.ends - at).total_seconds()
            left[what, entry.name] = min(seconds, left.get((what, entry.name), seconds))
    for labels, seconds in left.items():
        family.add_metric(labels, seconds)
    return family


def _failing(node: RunningServer) -> Metric:
    text = "Seconds since the fetches from a CRL or OCSP URL began to fail; 0 if they work."
    family = GaugeMetricFamily("sipmesh_source_failing_seconds", text, labels=("source", "owner"))
    at = node.gatekeeper.clock()
    for status in node.supplies(at):
        failing = (at - status.failing_since).total_seconds() if status.failing_since is not None else 0.0
        family.add_metric((status.source, status.owner), failing)
    return family


def _versions(node: RunningServer) -> Iterator[Metric]:
    """Yield the metrics of published versions; in a network without management they have no samples."""
    control_plane = node.outside.control_plane
    in_force = GaugeMetricFamily("sipmesh_topology_version", "The version of the topology in force.", labels=())
    newest = GaugeMetricFamily(
        "sipmesh_topology_newest", "The newest version of the topology that this server knows.", labels=()
    )
    silence = GaugeMetricFamily(
        "sipmesh_management_unheard_seconds",
        "Seconds since the last contact with the management server.",
        labels=(),
    )
    if control_plane.newest:
        in_force.add_metric((), node.view.loaded.number)
        newest.add_metric((), control_plane.newest)
    if control_plane.unheard_s is not None:
        silence.add_metric((), control_plane.unheard_s)
    yield from (in_force, newest, silence)


def _of_management(node: RunningServer) -> Iterator[Metric]:
    """Yield what management alone knows of the network; on another server these metrics have no samples."""
    control_plane = node.outside.control_plane
    behind = GaugeMetricFamily(
        "sipmesh_servers_behind", "Servers that do not have the newest version of the topology in force.", labels=()
    )
    audit = GaugeMetricFamily(
        "sipmesh_audit_lines", "Lines of the audit log; the label has the hash of the last line.", labels=("head",)
    )
    faults = GaugeMetricFamily(
        "sipmesh_network_faults",
        "Faults as `sipmesh status` shows them, by the kind of what has the fault and the code of the cause.",
        labels=("kind", "code"),
    )
    if isinstance(control_plane, Controller):
        behind.add_metric((), control_plane.behind)
        none = dict.fromkeys(((kind, "") for kind in PeerKind), 0)
        for labels, count in (none | Counter(control_plane.faulty)).items():
            faults.add_metric(labels, count)
        if (last := control_plane.audit_head()) is not None:
            audit.add_metric((last.hash,), last.seq)
    yield from (behind, faults, audit)


def _directory(node: RunningServer) -> Iterator[Metric]:
    """Yield the metrics of the directory; without one, and on another server than management, they have no samples."""
    control_plane = node.outside.control_plane
    unsynced = GaugeMetricFamily(
        "sipmesh_directory_not_synced",
        "1 if the users are not synced with the directory: `sipmesh status` says why.",
        labels=(),
    )
    users = GaugeMetricFamily(
        "sipmesh_directory_users", "Users who come from the directory, by whether they have access.", labels=("access",)
    )
    if isinstance(control_plane, Controller) and node.view.loaded.topology.directory is not None:
        report = control_plane.directory.report
        unsynced.add_metric((), bool(report.fault))
        users.add_metric(("yes",), report.users - report.ended)
        users.add_metric(("no",), report.ended)
    yield from (unsynced, users)
