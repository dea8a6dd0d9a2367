"""The status reports that reach management: each is validated and stored, and its certificate request is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.management.refusal_audit import RefusalAudit
from sipmesh.server.process.clock import now_utc
from sipmesh.server.repeated_log import RepeatedLog
from sipmesh.server.replication.control_links import edges_behind
from sipmesh.server.replication.server_status import ServerStatus
from sipmesh.storage.audit_act import AuditAct

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sipmesh.server.log import Log
    from sipmesh.server.management.grantor import Grantor
    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.server.management.server_reports import ServerReports
    from sipmesh.server.management.traffic_ring import TrafficRing
    from sipmesh.storage.audit import Audit
    from sipmesh.trust.trusted_peer import TrustedPeer


REQUEST_REST_S: Final = 5.0
"""Seconds after a request that led to no certificate, in which no other one for that server is judged from the same sender.

A request takes 15 ms of the loop, and the thief of a server's key can send any number of reports."""


class ReportReceiver:
    """Accepts reports. *newest* returns the version that every server should have; *changed* is called after a grant."""

    def __init__(
        self,
        server: ManagementServer,
        reports: ServerReports,
        traffic: TrafficRing,
        grantor: Grantor,
        newest: Callable[[], int],
        changed: Callable[[], None],
        audit: Audit,
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._server, self._reports, self._traffic, self._grantor = server, reports, traffic, grantor
        self._newest, self._changed = newest, changed
        self._audit, self._loop, self._log = audit, loop, log
        self._dropped, self._not_granted = RepeatedLog(), RefusalAudit()
        self._rests_until: dict[tuple[str, str], float] = {}  # by server and sender

    def receive(self, peer: TrustedPeer, report: Mapping[str, object]) -> str:
        """Accept the report of a server, with the relayed reports of edges; return the fault of its own report, or empty."""
        own = {key: value for key, value in report.items() if key != "relayed"}
        relayed = report.get("relayed")
        fault = self._accept(peer.name, own)
        if isinstance(relayed, dict):
            for name in relayed.keys() & edges_behind(self._server.view, peer.pool or ""):
                self._accept(name, relayed[name], by=peer.name)
        return fault

    def _accept(self, server: str, report: object, by: str = "") -> str:
        """Accept one report; a report that cannot be read changes only the error of this server."""
        at = now_utc()
        try:
            status = ServerStatus.read(report)
            fault = status.unreadable if by else ""
        except RemoteError as wrong:
            fault = str(wrong)
        if fault:
            self._reports.unreadable(server, fault, by)
            if self._dropped.is_due(f"{server} {by}", self._loop.time()):
                self._log.warning("server report rejected", peer=server, by=by or server, why=fault)
            return fault
        if status.request and self._rests_until.get((server, by), 0.0) <= self._loop.time():
            self._grant(server, status.request, at, by)
        if self._reports.record(server, status, at, self._newest(), by=by):
            self._traffic.saw(server, status, at)
        return ""

    def _grant(self, server: str, request: str, at: datetime, by: str) -> None:
        """Grant the certificate that a server requests; a refusal goes to the log and the audit log."""
        try:
            if self._grantor.asked(server, request, self._server.view.loaded, at):
                self._changed()
                return
        except (OperatorError, RemoteError) as wrong:
            line = self._not_granted.line(server, str(wrong), at)
            if line is not None:
                self._log.warning("certificate not renewed", peer=server, why=line.refused)
                self._record_refusal(server, {"act": "issue", **line.about()}, at)
        self._rests_until[server, by] = self._loop.time() + REQUEST_REST_S

    def _record_refusal(self, server: str, about: Mapping[str, object], at: datetime) -> None:
        """Add a line to the audit log; the report counts also if the log cannot be written."""
        try:
            self._audit.append(server, AuditAct.REFUSED, about, at=at)
        except OperatorError as wrong:
            self._log.error("a refused request is not in the audit log", peer=server, why=str(wrong))
