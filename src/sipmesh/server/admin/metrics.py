"""Figures for monitoring, over HTTP: `/metrics` as Prometheus reads it, and `/health`. Off unless the topology says where."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from sipmesh.errors import OperatorError, Problem
from sipmesh.server.admin.expiry_warnings import concerning, stock_of
from sipmesh.server.agent.agent import Agent
from sipmesh.server.management.controller import Controller
from sipmesh.topology.expiry.inventory import ExpiringKind
from sipmesh.topology.expiry.urgency import Urgency
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from sipmesh.server.running_server import RunningServer
    from sipmesh.topology.expiry.inventory import InventoryEntry

GOODBYE_S: Final = 1.0
"""How long a request for figures may hold up the end of the server."""


class Figures(Collector):
    """Reads the figures of one server when it is asked; nothing is counted for them in between."""

    def __init__(self, node: RunningServer) -> None:
        self._node = node

    def __repr__(self) -> str:
        return f"<Figures of {self._node.view.name}>"

    def collect(self) -> Iterator[Metric]:
        """Every figure, as it is now."""
        yield self._links()
        yield GaugeMetricFamily("sipmesh_handshakes_in_flight", "TLS handshakes in progress.", value=self._in_flight())
        yield self._verdicts()
        yield self._messages()
        yield self._refused_messages()
        yield from self._users()
        yield from self._calls()
        yield GaugeMetricFamily(
            "sipmesh_requests_waiting",
            "Branches (client transactions) that wait for a response.",
            value=self._waiting(),
        )
        yield self._waits()
        unanswered = self._node.relay.unanswered
        yield CounterMetricFamily(
            "sipmesh_requests_unanswered",
            "Branches (client transactions) that timed out without a response.",
            value=unanswered,
        )
        yield from self._queues()
        yield from self._turns()
        yield from self._principals()
        yield self._ends()
        yield self._failing()
        not_taken = sum(1 for _ in self._node.certificates.presented.faults)
        yield GaugeMetricFamily(
            "sipmesh_certificates_not_taken",
            "New certificates that this server rejected; it uses the old certificates.",
            value=not_taken,
        )
        yield from self._versions()

    def _versions(self) -> Iterator[Metric]:
        """Where the network runs by publications; without management these have no samples."""
        control_plane, at = self._node.control_plane, self._node.view.loaded.number
        held = GaugeMetricFamily("sipmesh_topology_version", "The version of the topology in force.", labels=())
        newest = GaugeMetricFamily(
            "sipmesh_topology_newest", "The newest version of the topology that this server knows.", labels=()
        )
        unheard = GaugeMetricFamily(
            "sipmesh_management_unheard_seconds",
            "Seconds since the last contact with the management server.",
            labels=(),
        )
        behind = GaugeMetricFamily(
            "sipmesh_servers_behind", "Servers that do not have the newest version of the topology in force.", labels=()
        )
        audit = GaugeMetricFamily(
            "sipmesh_audit_lines", "Lines of the audit log; the label has the hash of the last line.", labels=("head",)
        )
        if isinstance(control_plane, Agent | Controller):
            held.add_metric((), at)
            newest.add_metric((), control_plane.newest)
        if isinstance(control_plane, Agent):
            unheard.add_metric((), control_plane.unheard_s)
        if isinstance(control_plane, Controller):
            behind.add_metric((), control_plane.behind)
            if (last := control_plane.audit_head()) is not None:
                audit.add_metric((last.hash,), last.seq)
        yield from (held, newest, unheard, behind, audit)

    def _links(self) -> Metric:
        family = GaugeMetricFamily("sipmesh_links", "Links, by kind and state.", labels=("kind", "state"))
        found = Counter((str(link.kind), link.state.value) for link in self._node.pool.all())
        for labels, count in found.items():
            family.add_metric(labels, count)
        return family

    def _in_flight(self) -> int:
        opening = sum(link.state is LinkState.HANDSHAKE for link in self._node.pool.all())
        return opening + sum(listener.handshakes for listener in self._node.listening.listeners)

    def _waiting(self) -> int:
        return self._node.relay.load

    def _waits(self) -> Metric:
        told = "Seconds from a forwarded request to its final response."
        family = HistogramMetricFamily("sipmesh_request_seconds", told, labels=("method",))
        relay = self._node.relay
        for method, waits in (("INVITE", relay.invite_waits), ("other", relay.waits)):
            buckets = [("+Inf" if bound == inf else f"{bound:g}", float(count)) for bound, count in waits.up_to()]
            family.add_metric((method,), buckets, waits.total)
        return family

    def _turns(self) -> Iterator[Metric]:
        """How long the event loop was occupied at a time; the longest turn is the longest since the last scrape."""
        meter = self._node.reactor.meter
        family = HistogramMetricFamily(
            "sipmesh_loop_turn_seconds", "Seconds of each turn of the event loop.", labels=()
        )
        buckets = [("+Inf" if bound == inf else f"{bound:g}", float(count)) for bound, count in meter.up_to()]
        family.add_metric((), buckets, meter.total)
        yield family
        yield GaugeMetricFamily(
            "sipmesh_loop_turn_longest_seconds",
            "The longest turn of the event loop since the last scrape.",
            value=meter.take_longest(),
        )

    def _queues(self) -> Iterator[Metric]:
        waiting, blocked = Counter[str](), Counter[str]()
        for link in self._node.pool.all():
            waiting[str(link.kind)] += link.pending_out
            blocked[str(link.kind)] += link.blocked
        for name, told, found in (
            ("sipmesh_bytes_waiting", "Octets in the write queues of all links.", waiting),
            ("sipmesh_links_blocked", "Links whose peer does not read.", blocked),
        ):
            family = GaugeMetricFamily(name, told, labels=("kind",))
            for kind, count in found.items():
                family.add_metric((kind,), count)
            yield family

    def _principals(self) -> Iterator[Metric]:
        """What the limits of addresses, users, servers and partners have done, and how near to them the fullest are."""
        node = self._node
        accounts, log = node.accounts, node.peer_log
        displaced = CounterMetricFamily(
            "sipmesh_displaced",
            "Connections, links and logins that were closed or dropped at a limit.",
            labels=("limit", "kind"),
        )
        for listener in node.listening.listeners:
            displaced.add_metric(("silent_per_address", str(listener.kind)), listener.silent.displaced)
            shaking = listener.shaking.displaced + listener.reserved.displaced
            displaced.add_metric(("handshakes_per_address", str(listener.kind)), shaking)
        displaced.add_metric(("strangers_per_address", "client"), accounts.strangers.displaced)
        displaced.add_metric(("links_per_user", "client"), accounts.of_users.displaced)
        displaced.add_metric(("logins_waiting", "client"), node.failures.displaced)
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
        yield from (displaced, limited, branches, octets)
        strangers, waiting = len(accounts.strangers), len(node.failures.waiting)
        yield GaugeMetricFamily("sipmesh_links_without_login", "Client links without a login.", value=strangers)
        yield GaugeMetricFamily(
            "sipmesh_logins_waiting", "Logins that wait for their delay after failures.", value=waiting
        )
        yield CounterMetricFamily(
            "sipmesh_log_lines_summed", "Log lines that were counted and not written.", value=log.summed
        )

    def _verdicts(self) -> Metric:
        told = "Finished TLS handshakes, by the verdict on the peer."
        family = CounterMetricFamily("sipmesh_link_verdicts", told, labels=("kind", "direction", "code"))
        for labels, count in self._node.counters.verdicts.items():
            family.add_metric(labels, count)
        return family

    def _messages(self) -> Metric:
        family = CounterMetricFamily(
            "sipmesh_messages", "SIP messages, by kind of link and direction.", labels=("kind", "direction")
        )
        found = Counter(self._node.counters.messages)
        for link in self._node.pool.all():
            found[str(link.kind), "in"] += link.messages_in
            found[str(link.kind), "out"] += link.messages_out
        for labels, count in found.items():
            family.add_metric(labels, count)
        return family

    def _refused_messages(self) -> Metric:
        family = CounterMetricFamily(
            "sipmesh_messages_refused", "Refused SIP messages, by verdict code.", labels=("code",)
        )
        for code, count in self._node.counters.refused_messages.items():
            family.add_metric((code,), count)
        return family

    def _users(self) -> Iterator[Metric]:
        """Who is registered and who tried to be; a server that logs nobody in has no samples."""
        held = GaugeMetricFamily(
            "sipmesh_registrations", "Registrations (bindings) on links of this server.", labels=()
        )
        told = "Logins, by result; failed logins also by flaw."
        family = CounterMetricFamily("sipmesh_logins", told, labels=("result", "flaw"))
        if self._node.view.role is Role.FRONT_END:
            held.add_metric((), self._node.registrations.count())
            family.add_metric(("ok", ""), self._node.logins.succeeded)
            for flaw, count in self._node.logins.failed.items():
                family.add_metric(("failed", flaw), count)
        yield from (held, family)

    def _calls(self) -> Iterator[Metric]:
        relay = self._node.relay
        started = "Calls that this server has forwarded: INVITE requests outside a dialog."
        yield CounterMetricFamily("sipmesh_calls_started", started, value=relay.calls_started)
        told = "First final responses to these calls, by status class."
        family = CounterMetricFamily("sipmesh_calls_answered", told, labels=("class",))
        for digit in range(2, 7):
            family.add_metric((f"{digit}xx",), relay.calls_ended[digit])
        yield family

    def _ends(self) -> Metric:
        told = "Seconds until a certificate or revocation list expires; negative after that."
        family = GaugeMetricFamily("sipmesh_ends_in_seconds", told, labels=("what", "name"))
        at = datetime.now(UTC)
        left: dict[tuple[str, str], float] = {}
        for entry in ending(self._node, at):
            if entry.paper is not None:
                what = f"{entry.what} for partners" if entry.outside else str(entry.what)
                seconds = (entry.paper.ends - at).total_seconds()
                left[what, entry.name] = min(seconds, left.get((what, entry.name), seconds))
        for labels, seconds in left.items():
            family.add_metric(labels, seconds)
        return family

    def _failing(self) -> Metric:
        told = "Seconds since the fetches from a CRL or OCSP URL began to fail; 0 if they work."
        family = GaugeMetricFamily("sipmesh_source_failing_seconds", told, labels=("source", "owner"))
        at = self._node.gatekeeper.clock()
        for one in self._node.supplies(at):
            failing = (at - one.failing_since).total_seconds() if one.failing_since is not None else 0.0
            family.add_metric((one.source, one.owner), failing)
        return family


def ending(node: RunningServer, at: datetime) -> list[InventoryEntry]:
    """All that this server stands on and that ends."""
    return list(concerning(node, stock_of(node, at).entries))


class MetricsPage:
    """The HTTP side of it. There is no TLS and no password: it listens where the topology says, by default on loopback."""

    def __init__(self, node: RunningServer) -> None:
        self._node = node
        self._registry = CollectorRegistry()
        self._registry.register(Figures(node))
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        return f"<MetricsPage of {self._node.view.name} at {self._node.view.metrics}>"

    async def open(self) -> None:
        """Listen where the topology says; raises `OperatorError` where that cannot be, or where it says nothing."""
        if self._node.view.metrics is None:
            raise OperatorError(f"{self._node.view.name} has no `metrics` address in the topology")
        app = web.Application()
        app.add_routes([web.get("/metrics", self._metrics), web.get("/health", self._health)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=GOODBYE_S)
        await self._runner.setup()
        host, port = self._node.view.metrics
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as wrong:
            place = Problem(
                self._node.file,
                0,
                "metrics",
                str(wrong),
                "set another `metrics` address for this server in the topology",
            )
            raise OperatorError(f"no metrics on {host} port {port}", (place,)) from wrong

    async def close(self) -> None:
        """Stop listening."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _health(self, _request: web.Request) -> web.Response:
        """Whether others can rely on this server: 503 where something that it stands on has ended or cannot be used."""
        at = datetime.now(UTC)
        found = (
            one for one in ending(self._node, at) if one.what is not ExpiringKind.SOURCE
        )  # that is a partner's to mend
        why = [one.sentence(at) for one in found if one.broken or one.level is Urgency.PAST]
        told = {"server": self._node.view.name, "healthy": not why, "why": why}
        return web.json_response(told, status=503 if why else 200)
