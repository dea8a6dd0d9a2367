"""Metrics over HTTP: `/metrics` for Prometheus, and `/health`. Without a `metrics` address in the topology there are none."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from sipmesh.errors import OperatorError, Problem
from sipmesh.server.admin.expiry_warnings import concerning, stock_of
from sipmesh.server.agent.agent import Agent
from sipmesh.server.management.controller import Controller
from sipmesh.server.process.http_runner import runner_of
from sipmesh.storage.messages import Storing
from sipmesh.topology.expiry.inventory import ExpiringKind
from sipmesh.topology.expiry.urgency import Urgency
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.expiry.inventory import InventoryEntry


class ServerMetrics(Collector):
    """The metrics of one server; each is read when Prometheus asks for it."""

    def __init__(self, node: RunningServer) -> None:
        self._node = node

    def __repr__(self) -> str:
        return f"<ServerMetrics of {self._node.view.name}>"

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its present value."""
        yield self._links()
        yield GaugeMetricFamily("sipmesh_handshakes_in_flight", "TLS handshakes in progress.", value=self._in_flight())
        yield self._verdicts()
        yield from self._servers()
        yield self._messages()
        yield self._refused_messages()
        yield from self._users()
        yield from self._store()
        yield from self._stored_messages()
        yield from self._event_state()
        yield from self._calls()
        yield GaugeMetricFamily(
            "sipmesh_requests_waiting",
            "Branches (client transactions) that wait for a response.",
            value=self._waiting(),
        )
        yield self._waits()
        unanswered = self._node.relay.client_transactions.unanswered
        yield CounterMetricFamily(
            "sipmesh_requests_unanswered",
            "Branches (client transactions) that timed out without a response.",
            value=unanswered,
        )
        yield from self._queues()
        yield from self._turns()
        yield from self._principals()
        yield from self._overload()
        yield self._ends()
        yield self._upgrades()
        yield self._failing()
        not_taken = sum(1 for _ in self._node.certificates.faults)
        yield GaugeMetricFamily(
            "sipmesh_certificates_not_taken",
            "New certificates that this server rejected; it uses the old certificates.",
            value=not_taken,
        )
        yield from self._versions()

    def _versions(self) -> Iterator[Metric]:
        """Yield the metrics of published versions; in a network without management they have no samples."""
        control_plane, at = self._node.control_plane, self._node.view.loaded.number
        in_force = GaugeMetricFamily("sipmesh_topology_version", "The version of the topology in force.", labels=())
        newest = GaugeMetricFamily(
            "sipmesh_topology_newest", "The newest version of the topology that this server knows.", labels=()
        )
        silence = GaugeMetricFamily(
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
            in_force.add_metric((), at)
            newest.add_metric((), control_plane.newest)
        if isinstance(control_plane, Agent):
            silence.add_metric((), control_plane.unheard_s)
        if isinstance(control_plane, Controller):
            behind.add_metric((), control_plane.behind)
            if (last := control_plane.audit_head()) is not None:
                audit.add_metric((last.hash,), last.seq)
        yield from (in_force, newest, silence, behind, audit)

    def _links(self) -> Metric:
        family = GaugeMetricFamily("sipmesh_links", "Links, by kind and state.", labels=("kind", "state"))
        counts = Counter((link.port, link.state.value) for link in self._node.pool.all())
        for labels, count in counts.items():
            family.add_metric(labels, count)
        return family

    def _servers(self) -> Iterator[Metric]:
        """Which servers of the network answer this one, and whether it drains."""
        node = self._node
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
        yield GaugeMetricFamily("sipmesh_draining", told, value=int(node.dispatch.is_draining))

    def _in_flight(self) -> int:
        opening = sum(link.state is LinkState.HANDSHAKE for link in self._node.pool.all())
        return opening + sum(listener.handshakes for listener in self._node.listening.listeners)

    def _waiting(self) -> int:
        return self._node.relay.load

    def _waits(self) -> Metric:
        text = "Seconds from a forwarded request to its final response."
        family = HistogramMetricFamily("sipmesh_request_seconds", text, labels=("method",))
        sent = self._node.relay.client_transactions
        for method, waits in (("INVITE", sent.invite_waits), ("other", sent.waits)):
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
        for name, text, counts in (
            ("sipmesh_bytes_waiting", "Octets in the write queues of all links.", waiting),
            ("sipmesh_links_blocked", "Links whose peer does not read.", blocked),
        ):
            family = GaugeMetricFamily(name, text, labels=("kind",))
            for kind, count in counts.items():
                family.add_metric((kind,), count)
            yield family

    def _upgrades(self) -> Metric:
        """Return how many WebSockets were refused."""
        text = "HTTP requests on a WebSocket port that were refused, by HTTP status."
        family = CounterMetricFamily("sipmesh_websocket_refused", text, labels=("status",))
        for status, count in self._node.counters.upgrades.items():
            family.add_metric((str(status),), count)
        return family

    def _principals(self) -> Iterator[Metric]:
        """Yield what was refused at the limits of addresses, users, servers and partners, and the highest use of each limit."""
        node = self._node
        accounts, log = node.accounts, node.peer_log
        displaced = CounterMetricFamily(
            "sipmesh_displaced",
            "Connections, links and logins that were closed or dropped at a limit.",
            labels=("limit", "kind"),
        )
        for listener in node.listening.listeners:
            displaced.add_metric(("silent_per_address", listener.spec.key), listener.places.silent.displaced)
            shaking = listener.places.shaking.displaced + listener.reserved.displaced
            displaced.add_metric(("handshakes_per_address", listener.spec.key), shaking)
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

    def _overload(self) -> Iterator[Metric]:
        """What overload and a lack of file descriptors have done."""
        reactor = self._node.reactor
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
        waiting = sum(listener.waiting.size for listener in self._node.listening.listeners)
        yield GaugeMetricFamily(
            "sipmesh_connections_waiting", "Accepted connections that wait for their handshake.", value=waiting
        )
        yield GaugeMetricFamily(
            "sipmesh_descriptors_short",
            "1 while new links of clients wait because no file descriptor is free.",
            value=float(reactor.shortage.active),
        )

    def _verdicts(self) -> Metric:
        text = "Finished TLS handshakes, by the verdict on the peer."
        family = CounterMetricFamily("sipmesh_link_verdicts", text, labels=("kind", "direction", "code"))
        for labels, count in self._node.counters.verdicts.items():
            family.add_metric(labels, count)
        return family

    def _messages(self) -> Metric:
        family = CounterMetricFamily(
            "sipmesh_messages", "SIP messages, by kind of link and direction.", labels=("kind", "direction")
        )
        counts = Counter(self._node.counters.messages)
        for link in self._node.pool.all():
            counts[str(link.kind), "in"] += link.messages_in
            counts[str(link.kind), "out"] += link.messages_out
        for labels, count in counts.items():
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
        """Yield registrations and logins; a server without logins has no samples."""
        registrations = GaugeMetricFamily(
            "sipmesh_registrations", "Registrations (bindings) on links of this server.", labels=()
        )
        text = "Logins, by result; failed logins also by flaw."
        family = CounterMetricFamily("sipmesh_logins", text, labels=("result", "flaw"))
        if self._node.view.role is Role.FRONT_END:
            registrations.add_metric((), self._node.registrations.count())
            family.add_metric(("ok", ""), self._node.logins.succeeded)
            for flaw, count in self._node.logins.failed.items():
                family.add_metric(("failed", flaw), count)
        yield from (registrations, family)
        text = "Client links that failed before a login, by reason."
        failed = CounterMetricFamily("sipmesh_client_links_failed", text, labels=("reason",))
        for reason, count in self._node.gatekeeper.client_refusals.counts.items():
            failed.add_metric((str(reason),), count)
        yield failed

    def _store(self) -> Iterator[Metric]:
        """How the store of the bindings does; a server that registers nobody has no samples."""
        waiting = GaugeMetricFamily(
            "sipmesh_registration_writes_waiting", "Changes of registrations that are not stored yet.", labels=()
        )
        batches = CounterMetricFamily(
            "sipmesh_registration_batches", "Transactions that have stored changes of registrations.", labels=()
        )
        writes = CounterMetricFamily(
            "sipmesh_registration_writes", "Changes of registrations that were stored.", labels=()
        )
        failures = GaugeMetricFamily(
            "sipmesh_registration_store_failures",
            "Attempts to store registrations that have failed since the last success; the label has the last error.",
            labels=("error",),
        )
        if self._node.view.role is Role.FRONT_END:
            health = self._node.registrations.health
            waiting.add_metric((), health.waiting)
            batches.add_metric((), health.batches)
            writes.add_metric((), health.writes)
            failures.add_metric((health.last_error if health.failures else "",), health.failures)
        yield from (waiting, batches, writes, failures)

    def _event_state(self) -> Iterator[Metric]:
        """Subscriptions and publications of users; a server that registers nobody has no samples."""
        subscriptions = GaugeMetricFamily(
            "sipmesh_subscriptions", "Subscriptions of which this server is the notifier.", labels=()
        )
        publications = GaugeMetricFamily(
            "sipmesh_publications", "Presence documents that devices have published at this server.", labels=()
        )
        if self._node.view.role is Role.FRONT_END:
            subscriptions.add_metric((), len(self._node.events.notifier))
            publications.add_metric((), self._node.events.notifier.publications)
        yield from (subscriptions, publications)

    def _stored_messages(self) -> Iterator[Metric]:
        """Messages for users who are not registered; a server that registers nobody has no samples."""
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
        if self._node.view.role is Role.FRONT_END:
            events = self._node.events
            for result in Storing:
                stored.add_metric((result.value,), events.storing.counts[result])
            delivered.add_metric((), events.delivery.delivered)
            waiting.add_metric((), events.messages_waiting)
        yield from (stored, delivered, waiting)

    def _calls(self) -> Iterator[Metric]:
        relay = self._node.relay
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

    def _ends(self) -> Metric:
        text = "Seconds until a certificate or revocation list expires; negative after that."
        family = GaugeMetricFamily("sipmesh_ends_in_seconds", text, labels=("what", "name"))
        at = datetime.now(UTC)
        left: dict[tuple[str, str], float] = {}
        for entry in ending(self._node, at):
            if entry.item is not None:
                what = f"{entry.what} for partners" if entry.outside else str(entry.what)
                seconds = (entry.item.ends - at).total_seconds()
                left[what, entry.name] = min(seconds, left.get((what, entry.name), seconds))
        for labels, seconds in left.items():
            family.add_metric(labels, seconds)
        return family

    def _failing(self) -> Metric:
        text = "Seconds since the fetches from a CRL or OCSP URL began to fail; 0 if they work."
        family = GaugeMetricFamily("sipmesh_source_failing_seconds", text, labels=("source", "owner"))
        at = self._node.gatekeeper.clock()
        for status in self._node.supplies(at):
            failing = (at - status.failing_since).total_seconds() if status.failing_since is not None else 0.0
            family.add_metric((status.source, status.owner), failing)
        return family


def ending(node: RunningServer, at: datetime) -> list[InventoryEntry]:
    """Return every certificate and CRL that this server depends on, each with its end."""
    return list(concerning(node, stock_of(node, at).entries))


class Workers(Protocol):
    """The other processes of a server (`workers.supervisor.Supervisor`)."""

    async def ask_all(self, command: str, **given: Any) -> Mapping[int, Any]:
        """Ask every process, and return the results by its number."""


class MetricsPage:
    """The HTTP server of the metrics. It has no TLS and no password; by default it listens on the loopback address."""

    def __init__(self, node: RunningServer, workers: Workers | None = None) -> None:
        self._node, self._workers = node, workers
        self._metrics_of_node = ServerMetrics(node)
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        return f"<MetricsPage of {self._node.view.name} at {self._node.view.metrics}>"

    async def open(self) -> None:
        """Listen on the address that the topology has; raises `OperatorError` without an address, or if it cannot be used."""
        if self._node.view.metrics is None:
            raise OperatorError(f"{self._node.view.name} has no `metrics` address in the topology")
        app = web.Application()
        app.add_routes([web.get("/metrics", self._metrics), web.get("/health", self._health)])
        self._runner = runner_of(app, self._node.log)
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
        registry = CollectorRegistry()
        registry.register(self._metrics_of_node if self._workers is None else await self._of_all(self._workers))
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _of_all(self, workers: Workers) -> Collector:
        """Collect the metrics of all processes of this server."""
        from sipmesh.server.admin.merged_metrics import MergedMetrics, packed

        others = await workers.ask_all("metrics")
        return MergedMetrics([packed(self._metrics_of_node.collect()), *others.values()])

    async def _health(self, _request: web.Request) -> web.Response:
        """Answer 503 if this server drains, or if a certificate or CRL that it needs has expired or cannot be used, else 200."""
        at = datetime.now(UTC)
        # A partner has to repair its own URL, so an unreachable URL does not make this server unhealthy.
        entries = (entry for entry in ending(self._node, at) if entry.what is not ExpiringKind.SOURCE)
        why = [entry.sentence(at) for entry in entries if entry.broken or entry.level is Urgency.PAST]
        if self._node.dispatch.is_draining:
            why.append("this server drains")
        health = {"server": self._node.view.name, "healthy": not why, "why": why}
        return web.json_response(health, status=503 if why else 200)
