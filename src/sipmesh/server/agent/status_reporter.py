"""What a managed server reports to management: its own status, and the reports of the edges behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import RemoteError
from sipmesh.server.agent.applicant import read_issuing
from sipmesh.server.process.clock import now_utc
from sipmesh.server.repeated_log import RepeatedLog
from sipmesh.server.replication.server_status import ServerStatus, relayed_reports, text

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from sipmesh.distribution.items import Key
    from sipmesh.server.agent.applicant import Applicant
    from sipmesh.server.agent.managed_server import ManagedServer
    from sipmesh.server.agent.stored_items import StoredItems
    from sipmesh.server.log import Log
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.trust.trusted_peer import TrustedPeer

REPORT_EVERY_S = 10.0
"""Seconds between two reports, if nothing has changed."""

MOST_ERRORS = 20
"""How many refused documents a report names."""


class Outlet(Protocol):
    """What carries reports to management (`distribution.subscriber.Subscriber`)."""

    def publish(self, status: Mapping[str, Any]) -> None:
        """Send a report to every server that gives us documents."""


class StatusReporter:
    """Reports to management; *own_status* returns the status of the server, *applicant* requests its next certificate."""

    def __init__(
        self,
        server: ManagedServer,
        documents: DocumentStore,
        held: StoredItems,
        applicant: Applicant,
        own_status: Callable[[], ServerStatus],
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._server, self._documents, self._held, self._applicant = server, documents, held, applicant
        self._own_status, self._loop, self._log = own_status, loop, log
        self._outlet: Outlet | None = None
        self._relayed: dict[
            str, tuple[float, ServerStatus]
        ] = {}  # status of each edge, with the loop time at which it arrived
        self._dropped, self._told = RepeatedLog(), RepeatedLog()
        self._errors: dict[Key, str] = {}  # why a document was refused, by kind and name, until it is accepted
        self._reported_at = 0.0

    def attach(self, outlet: Outlet) -> None:
        """Send reports through *outlet* from now on."""
        self._outlet = outlet

    def tick(self) -> None:
        """Report if the last report is older than ``REPORT_EVERY_S``."""
        if self._loop.time() - self._reported_at >= REPORT_EVERY_S:
            self.report()

    def report_soon(self) -> None:
        """Report after the present event has been handled."""
        self._loop.call_soon(self.report)

    def report(self) -> None:
        """Publish what this server has in force; not while a process of it still lacks some of that."""
        if not self._server.is_settled:
            return
        self._reported_at = self._loop.time()
        own = self._status().to_json()
        relayed = relayed_reports(self._relayed, self._loop.time())
        if self._outlet is not None:
            self._outlet.publish({**own, "relayed": relayed} if relayed else own)

    def _status(self) -> ServerStatus:
        view = self._server.view
        request = self._applicant.request(view, now_utc(), read_issuing(self._held.issuing))
        own = {
            "number": view.loaded.number,
            "digest": self._held.topology.digest,
            "highest": self._documents.known_to_exist,
            "fencing": self._documents.fencing,
            "at": now_utc(),
            "error": text("; ".join([*self._errors.values(), *self._server.listening.faults])),
            "request": request or "",
        }
        return self._own_status().model_copy(update=own)

    # Refused documents

    def fail(self, key: Key, why: str) -> None:
        """Report a refused document until it is accepted; only the first ``MOST_ERRORS`` are reported."""
        if key in self._errors or len(self._errors) < MOST_ERRORS:
            self._errors[key] = why
        if self._told.is_due(why, self._loop.time()):
            self._log.error("document rejected: the old version stays in force", why=why)
        self.report_soon()

    def storage_failed(self, key: Key, why: str) -> None:
        """Report until `mend` that the disk does not store a document; the log gets one line a minute for each key."""
        if key in self._errors or len(self._errors) < MOST_ERRORS:
            self._errors[key] = why
        if self._told.is_due(f"{key}", self._loop.time()):
            self._log.error("document not stored: sipmesh tries again", why=why)
        self.report_soon()

    def mend(self, key: Key) -> None:
        """The document was accepted later: remove its error."""
        if self._errors.pop(key, None) is not None:
            self.report_soon()

    def forget_errors(self) -> None:
        """A new version is in force: earlier errors are obsolete."""
        self._errors.clear()

    # The edges behind us

    def receive(self, peer: TrustedPeer, report: Mapping[str, object]) -> str:
        """Accept the status of an edge behind us, and pass it on to management; returns the fault of the report, or empty."""
        try:
            status, fault = ServerStatus.read(report), ""
        except RemoteError as wrong:
            status, fault = ServerStatus(number=0, unreadable=text(str(wrong))), str(wrong)
            if self._dropped.is_due(peer.name, self._loop.time()):
                self._log.warning("server report rejected", peer=peer.name, by=peer.name, why=fault)
        self._relayed[peer.name] = self._loop.time(), status
        self.report()
        return fault

    def keep(self, edges: Collection[str]) -> None:
        """Forget the reports of all other edges."""
        self._relayed = {name: report for name, report in self._relayed.items() if name in edges}
