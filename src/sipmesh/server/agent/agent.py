"""A managed server's end of the control plane: it subscribes, applies signed documents, and reports what is in force.

Management does not connect to edges. A front end passes all documents on to the edges behind it, and their reports back to
management. An edge trusts a document because of its signature, from any server that delivers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.distribution.event import CALLS_EVENT, event_of, is_ours
from sipmesh.distribution.items import ORDERS, ItemKind
from sipmesh.distribution.notifier import Notifier
from sipmesh.distribution.subscriber import Subscriber
from sipmesh.pki.file_error import FileError
from sipmesh.server.agent.applicant import Applicant, read_issuing
from sipmesh.server.agent.call_delivery import CallDelivery
from sipmesh.server.agent.call_orders import CallOrders
from sipmesh.server.agent.crl_receiver import CrlReceiver
from sipmesh.server.agent.document_applier import DocumentApplier
from sipmesh.server.agent.known_versions import KnownVersions
from sipmesh.server.agent.probing.link_probes import LinkProbes
from sipmesh.server.agent.probing.peer_checks import PeerChecks
from sipmesh.server.agent.status_reporter import StatusReporter
from sipmesh.server.agent.stored_items import StoredItems
from sipmesh.server.agent.traces import Traces
from sipmesh.server.process.clock import now_utc
from sipmesh.server.proxy.control_plane import ControlPlane
from sipmesh.server.replication.control_links import ControlLinks, edges_behind, hop_to
from sipmesh.server.replication.server_status import MOST_PEER_FAULTS, PeerFault, PeerKind
from sipmesh.sip.message import Request, Response, respond
from sipmesh.trust.evidence import Direction
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from typing import Any

    from sipmesh.distribution.event import Here
    from sipmesh.distribution.items import Item, ReplicationState
    from sipmesh.server.agent.call_delivery import Keep
    from sipmesh.server.agent.call_orders import EndCall
    from sipmesh.server.agent.managed_server import Loader, ManagedServer
    from sipmesh.server.log import Log
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.server.replication.server_status import FetchedCrl, ServerStatus
    from sipmesh.server.tracing.traced_message import TraceReply
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.x509.certificate import CertificateId


class Agent(ControlPlane):
    """The control plane of a front end or an edge: its links and messages.

    *loader* puts versions and files in force. *own_status* returns the status of this server. *fetch_crls* fetches each CRL
    of the topology in force once. *trace* asks all processes of this server for the messages of a trace. *keep_records* writes
    records of calls into the journal, and *end_call* ends a call.
    """

    def __init__(
        self,
        server: ManagedServer,
        documents: DocumentStore,
        loader: Loader,
        own_status: Callable[[], ServerStatus],
        here: Here,
        loop: asyncio.AbstractEventLoop,
        dial: Callable[[Hop], Link],
        fetch_crls: Callable[[], Coroutine[Any, Any, tuple[FetchedCrl, ...]]],
        trace: Callable[[Mapping[str, object]], Awaitable[TraceReply]],
        keep_records: Keep,
        end_call: EndCall,
        log: Log,
    ) -> None:
        self._server, self._documents, self._loop, self._dial, self._log = server, documents, loop, dial, log
        self._applicant = Applicant(server.view.name, documents.state)
        self.held = StoredItems(server, documents)
        self._known_versions = KnownVersions(server, documents)
        self.probes = LinkProbes(server, documents, here, dial, fetch_crls, self._links_probed, loop, log)
        self.peer_checks = PeerChecks(server, here, dial, self._links_probed, loop)
        self.reporter = StatusReporter(
            server, documents, self.held, self._applicant, lambda: self._with_probed(own_status()), loop, log
        )
        crls = CrlReceiver(server, documents.folder, self.held.crls, loader, self.reporter)
        self.applier = DocumentApplier(
            server, documents, self.held, crls, self._applicant, loader, self.reporter, self, loop, log
        )
        self._subscriber = Subscriber(
            here, self.held.state, self._state_received, self._item_received, self._settled, loop.time
        )
        self.reporter.attach(self._subscriber)
        self.traces = Traces(server, documents, trace, self._subscriber.publish_trace, loop, log)
        self.call_orders = CallOrders(server, documents, end_call, loop, log)
        self.calls = CallDelivery(server, documents.state, keep_records, self._subscriber.publish_calls, loop, log)
        self._notifier = Notifier(here, self.held, self.reporter.receive, self.traces.pass_on, loop.time)
        self._links = ControlLinks(loop, dial)
        self._heard_at = loop.time()

    def begin(self) -> None:
        """Open links to the edges behind us, and ask the servers of our pool for the highest version that they know."""
        self._keep_links()
        for name in self._server.view.pool_mates:
            hop = hop_to(self._server.view, name)
            self._dial(hop.for_control() if self._server.place.is_supervisor else hop)

    def close(self) -> None:
        """Stop opening links and reading CRLs."""
        self._links.close()
        self.applier.close()
        self.probes.close()
        self.traces.close()
        self.calls.close()
        self.call_orders.close()
        self.peer_checks.close()

    def tick(self) -> None:
        """Refresh subscriptions, store what could not be stored, and report the status if a report is due."""
        self._subscriber.tick()
        self.applier.tick()
        self.probes.tick()
        self.peer_checks.tick()
        self.reporter.tick()
        self.calls.tick()

    @property
    def is_managed(self) -> bool:
        """True: the next version comes from management."""
        return True

    @property
    def newest(self) -> int:
        """The highest version that is known to exist."""
        return max(self._known_versions.newest, self._server.view.loaded.number)

    @property
    def behind(self) -> int:
        """The highest version that is known to exist, if it is higher than the version in force; otherwise 0."""
        known = self._known_versions.newest
        return known if known > self._server.view.loaded.number else 0

    @property
    def unheard_s(self) -> float:
        """Seconds since the last answer from management, or for an edge from a front end of its next hop.

        Each report is answered, so this is at most about ten seconds if all is well.
        """
        return self._loop.time() - self._heard_at

    # Links

    def link_up(self, link: Link) -> None:
        """Subscribe on links that management, or a front end of our next hop, opened; ask servers of our pool once."""
        peer = link.verdict.peer if link.verdict is not None else None
        if peer is None:
            return
        self._links.up(link)
        if link.direction is Direction.ACCEPTED:
            if self._may_give_documents(peer):
                self._subscriber.subscribe(link, peer.name)
        elif peer.pool == self._server.view.pool.name:
            self._subscriber.subscribe(link, peer.name, stays=False)

    def _may_give_documents(self, peer: TrustedPeer) -> bool:
        """Return whether *peer* may give us documents: management, or for an edge or a gateway a front end of its next hop."""
        view = self._server.view
        if view.role in BORDERS:
            return peer.role is Role.FRONT_END and peer.pool == view.next_hop
        return peer.role is Role.MANAGEMENT

    def link_down(self, link: Link, why: str) -> None:
        """Forget the subscriptions on *link*, and what its peer has claimed."""
        self._known_versions.forget(link)
        self._subscriber.gone(link)
        self._notifier.gone(link)
        before = self._links.faults
        self._links.gone(link, why)
        if self._links.faults.keys() - before.keys():
            self.reporter.report_soon()

    # Messages

    def requested(self, link: Link, peer: TrustedPeer, request: Request) -> bool:
        """Serve a request of our event package; return False for any other request."""
        if not is_ours(request):
            return False
        if request.method == "SUBSCRIBE":
            self._subscribed(link, peer, request)
        elif request.method == "NOTIFY":
            if self._may_give_documents(peer) or peer.pool == self._server.view.pool.name:
                link.send(self._subscriber.notified(link, request).encode())
            else:
                link.send(respond(request, 403).encode())
        elif event_of(request) == CALLS_EVENT:
            self.calls.received(link, peer, request)
        else:
            link.send(self._notifier.published(link, peer, request).encode())
        return True

    def _subscribed(self, link: Link, peer: TrustedPeer, request: Request) -> None:
        ours = self._links.has(link)
        if ours or peer.pool == self._server.view.pool.name:
            self._notifier.subscribed(link, peer, request, stays=ours)
        else:
            link.send(respond(request, 489).encode())  # RFC 6665 8.3.2: we do not offer the event package to this peer

    def responded(self, link: Link, response: Response) -> None:
        """Process the response to a request of ours."""
        peer = link.verdict.peer if link.verdict is not None else None
        if peer is not None and self._may_give_documents(peer):
            self._heard_at = self._loop.time()
        self._subscriber.responded(link, response)

    # What has changed on this server

    def crls_changed(self, _revoked: frozenset[CertificateId]) -> None:
        """CRLs of this machine came into force: give them to the edges behind us."""
        self._notifier.changed()

    def certificate_changed(self) -> None:
        """Report to management the certificate that we present."""
        self.reporter.report()

    def version_changed(self) -> None:
        """Another version is in force: report it, and give it to the edges that are behind us in it."""
        self._keep_links()
        self._links.dial_again()  # management waits for edges, unless this report or a later one says that none is there
        self.reporter.report()
        self._notifier.use_topology(self._server.view.trusted.get)
        self._notifier.changed()

    def version_received(self) -> None:
        """A signed version has arrived: mention it in verdicts."""
        self._known_versions.mention()

    def items_changed(self) -> None:
        """Give the edges behind us what has changed."""
        self._notifier.changed()

    def _keep_links(self) -> None:
        view = self._server.view
        behind = edges_behind(view, view.pool.name) if view.role is Role.FRONT_END else ()
        edges = {name: hop_to(view, name) for name in sorted(behind)}
        self._links.keep(edges)
        self.reporter.keep(edges)

    # Received from the other end

    def _settled(self, _link: Link) -> None:
        self.reporter.report()

    def _state_received(self, link: Link, peer: str, state: ReplicationState) -> None:
        """Process what *peer* holds: a version newer than ours will arrive, or at least exists, as it claims."""
        self.applier.note_offer(state)
        self._follow_issuing(state.issuing)
        number, _ = state.topology
        newest, ours = max(number, state.highest), self._server.view.loaded.number
        if self._known_versions.claim(link, newest) and newest > ours:
            self._log.info("a newer topology version exists", version=newest, ours=ours, by=peer)

    def _item_received(self, peer: str, item: Item) -> None:
        """Apply a document, or carry out an order; an order for an edge behind us is passed on, and the edge checks it."""
        if item.kind not in ORDERS:
            self.applier.receive(peer, item)
        elif item.name != self._server.view.name:
            self._notifier.send_once(item.name, item)
        elif item.kind is ItemKind.PROBE:
            self.probes.accept(item.body)
        elif item.kind is ItemKind.CALLS:
            self.call_orders.accept(item.body)
        else:
            self.traces.accept(item.body)

    def _links_probed(self) -> None:
        self.reporter.report_soon()

    def _with_probed(self, status: ServerStatus) -> ServerStatus:
        edges = [PeerFault.of(name, PeerKind.SERVER, fault) for name, fault in self._links.faults.items()]
        faults = (*status.peer_faults, *edges, *self.peer_checks.faults)[:MOST_PEER_FAULTS]
        return status.model_copy(update={"probed": self.probes.report, "peer_faults": faults})

    def _follow_issuing(self, issuing: str) -> None:
        """Follow a new issuing CA, or a new certificate of it, and pass it on to the edges behind us.

        *issuing* is not signed. It counts only if it is valid and leads to an anchor in force, and it is not an earlier
        certificate of the CA whose certificate we present. A server can pass on the certificate of an earlier CA that still
        counts. Then this server asks for certificates: management gives it four in a day.
        """
        if not issuing or issuing == self.held.issuing:
            return
        chain = read_issuing(issuing)
        try:
            if chain and self._applicant.show(chain, self._server.view, now_utc()):
                self._log.info(
                    "the issuing CA has another certificate: chain updated", issuer=chain[0].issuer.rfc4514_string()
                )
        except FileError as wrong:  # the next state from there brings it again
            self.reporter.storage_failed((ItemKind.CERTIFICATE, "issuing"), str(wrong))
            return
        self.held.issuing = issuing
        self.reporter.mend((ItemKind.CERTIFICATE, "issuing"))
        self.reporter.report_soon()
        self._notifier.changed()
