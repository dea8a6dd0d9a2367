"""What a managed server reports to management: its own status, and those of the edges behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import RemoteError
from sipmesh.server.clock import now_utc
from sipmesh.server.repeated_log import RepeatedLog
from sipmesh.server.replication.cert_renewal import read_issuing
from sipmesh.server.replication.server_status import ServerStatus, relayed_reports, text

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from sipmesh.distribution.items import Key
    from sipmesh.server.agent.held_items import HeldItems
    from sipmesh.server.agent.managed_server import ManagedServer
    from sipmesh.server.log import Log
    from sipmesh.server.replication.cert_renewal import Applicant
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.trust.trusted_peer import TrustedPeer

REPORT_EVERY_S = 10.0
"""How often a server says how it is, if nothing has changed."""

MOST_ERRORS = 20
"""Documents that were not taken, of which the report tells."""


class Outlet(Protocol):
    """What carries reports to management (`distribution.subscriber.Subscriber`)."""

    def publish(self, status: Mapping[str, Any]) -> None:
        """Send a report to every server that gives to us."""


class StatusReporter:
    """Reports to management; *own_status* is what the server says of itself, *applicant* asks for its next certificate."""

    def __init__(
        self,
        server: ManagedServer,
        documents: DocumentStore,
        held: HeldItems,
        applicant: Applicant,
        own_status: Callable[[], ServerStatus],
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._server, self._documents, self._held, self._applicant = server, documents, held, applicant
        self._own_status, self._loop, self._log = own_status, loop, log
        self._outlet: Outlet | None = None
        self._relayed: dict[str, tuple[float, ServerStatus]] = {}  # when each edge said it, by the loop's time
        self._dropped = RepeatedLog()
        self._errors: dict[Key, str] = {}  # what was not taken, by kind and name, until it is
        self._reported_at = 0.0

    def __repr__(self) -> str:
        return f"<StatusReporter of {self._server.view.name}: {len(self._errors)} errors, {len(self._relayed)} edges>"

    def attach(self, outlet: Outlet) -> None:
        """Send reports by *outlet* from now on."""
        self._outlet = outlet

    def tick(self) -> None:
        """Report once the last report is old."""
        if self._loop.time() - self._reported_at >= REPORT_EVERY_S:
            self.report()

    def report_soon(self) -> None:
        """Report once what is being done now is done."""
        self._loop.call_soon(self.report)

    def report(self) -> None:
        """Publish what this server has in force."""
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
            "at": now_utc(),
            "error": text("; ".join([*self._errors.values(), *self._server.listening.faults])),
            "request": request or "",
        }
        return self._own_status().model_copy(update=own)

    # What was not taken

    def fail(self, key: Key, why: str) -> None:
        """Report what was not taken until it is; of many, the first are reported."""
        if key in self._errors or len(self._errors) < MOST_ERRORS:
            self._errors[key] = why
        self._log.error("document rejected: the old version stays in force", why=why)
        self.report_soon()

    def mend(self, key: Key) -> None:
        """It was taken after all."""
        if self._errors.pop(key, None) is not None:
            self.report_soon()

    def forget_errors(self) -> None:
        """A new version is in force: what was wrong before counts no more."""
        self._errors.clear()

    # The edges behind us

    def receive(self, peer: TrustedPeer, report: Mapping[str, object]) -> str:
        """An edge behind us says how it is: management hears it from us. Returns what is wrong with the report."""
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
        self._relayed = {name: told for name, told in self._relayed.items() if name in edges}
