"""A managed server's end of the control plane: it subscribes, takes what was signed, and reports what it has in force.

A front end passes all of it on to the edges behind it, which management does not reach; what these say of themselves goes back
the same way. What an edge believes is the signature, whoever has brought it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.distribution.event import is_ours
from sipmesh.distribution.notifier import Notifier
from sipmesh.distribution.subscriber import Subscriber
from sipmesh.server.agent.crl_receiver import CrlReceiver
from sipmesh.server.agent.document_applier import DocumentApplier
from sipmesh.server.agent.held_items import HeldItems
from sipmesh.server.agent.status_reporter import StatusReporter
from sipmesh.server.replication.cert_renewal import Applicant, read_issuing
from sipmesh.server.replication.control_links import ControlLinks, hop_to
from sipmesh.sip.message import Request, Response, respond
from sipmesh.trust.evidence import Direction
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sipmesh.distribution.event import Here
    from sipmesh.distribution.items import ReplicationState
    from sipmesh.server.agent.managed_server import Loader, ManagedServer
    from sipmesh.server.log import Log
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.server.replication.server_status import ServerStatus
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.x509.certificate import CertificateId


class Agent:
    """The control plane of a front end or an edge: its links and messages. Implements `proxy.control_plane.ManagedControlPlane`.

    *loader* puts versions and files in force, *own_status* is what the server says of itself.
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
        log: Log,
    ) -> None:
        self._server, self._documents, self._loop, self._dial, self._log = server, documents, loop, dial, log
        self._applicant = Applicant(server.view.name, documents.state)
        self.held = HeldItems(server, documents)
        self.reporter = StatusReporter(server, documents, self.held, self._applicant, own_status, loop, log)
        crls = CrlReceiver(server, documents.folder, self.held.crls, loader, self.reporter)
        self.applier = DocumentApplier(
            server, documents, self.held, crls, self._applicant, loader, self.reporter, self, loop, log
        )
        self._subscriber = Subscriber(
            here, self.held.state, self._state_received, self.applier.receive, self._settled, loop.time
        )
        self.reporter.attach(self._subscriber)
        self._notifier = Notifier(here, self.held, self.reporter.receive)
        self._links = ControlLinks(loop, dial)
        self._heard_at = loop.time()

    def __repr__(self) -> str:
        return f"<Agent {self._server.view.name}, version {self._server.view.loaded.number}>"

    def begin(self) -> None:
        """Reach the edges behind us, and ask our pool for the highest version that it knows."""
        self._keep_links()
        for name in self._server.view.pool_mates:
            self._dial(hop_to(self._server.view, name))

    def close(self) -> None:
        """Open no more links, and read nothing."""
        self._links.close()
        self.applier.close()

    def tick(self) -> None:
        """Refresh, and say how we are."""
        self._subscriber.tick()
        self.reporter.tick()

    @property
    def newest(self) -> int:
        """The highest version that is known to exist."""
        return max(self._documents.known_to_exist, self._server.view.loaded.number)

    @property
    def behind(self) -> int:
        """The highest version that is known to exist, if it is higher than the one in force; else 0."""
        known = self._documents.known_to_exist
        return known if known > self._server.view.loaded.number else 0

    @property
    def unheard_s(self) -> float:
        """Seconds since who tells us has answered: management, or for an edge a front end of its next hop.

        It answers every report, and so every ten seconds if all is well.
        """
        return self._loop.time() - self._heard_at

    # Links

    def link_up(self, link: Link) -> None:
        """Subscribe where a link may be there for that; ask servers of our pool once."""
        peer = link.verdict.peer if link.verdict is not None else None
        if peer is None:
            return
        self._links.up(link)
        if link.direction is Direction.ACCEPTED:
            if self._may_give(peer):
                self._subscriber.subscribe(link, peer.name)
        elif peer.pool == self._server.view.pool.name:
            self._subscriber.subscribe(link, peer.name, stays=False)

    def _may_give(self, peer: TrustedPeer) -> bool:
        """Who may tell us: management; an edge is told by the front ends of its next hop."""
        view = self._server.view
        if view.role is Role.EDGE:
            return peer.role is Role.FRONT_END and peer.pool == view.next_hop
        return peer.role is Role.MANAGEMENT

    def link_down(self, link: Link, why: str) -> None:
        """Forget what was agreed on the link."""
        self._subscriber.gone(link)
        self._notifier.gone(link)
        self._links.gone(link, why)

    # Messages

    def requested(self, link: Link, peer: TrustedPeer, request: Request) -> bool:
        """Serve a request of our package."""
        if not is_ours(request):
            return False
        if request.method == "SUBSCRIBE":
            self._subscribed(link, peer, request)
        elif request.method == "NOTIFY":
            if self._may_give(peer) or peer.pool == self._server.view.pool.name:
                link.send(self._subscriber.notified(link, request).encode())
            else:
                link.send(respond(request, 403).encode())
        else:
            link.send(self._notifier.published(link, peer, request).encode())
        return True

    def _subscribed(self, link: Link, peer: TrustedPeer, request: Request) -> None:
        ours = self._links.has(link)
        if ours or peer.pool == self._server.view.pool.name:
            self._notifier.subscribed(link, peer, request, stays=ours)
        else:
            link.send(respond(request, 489).encode())  # RFC 6665 8.3.2: nothing of that package here

    def responded(self, link: Link, response: Response) -> None:
        """Take the answer to a request of ours."""
        peer = link.verdict.peer if link.verdict is not None else None
        if peer is not None and self._may_give(peer):
            self._heard_at = self._loop.time()
        self._subscriber.responded(link, response)

    # What has changed on this server

    def crls_changed(self, _revoked: frozenset[CertificateId]) -> None:
        """Lists of this machine have come into force: the edges behind us get them as well."""
        self._notifier.changed()

    def certificate_changed(self) -> None:
        """Management is told of the certificate that we present."""
        self.reporter.report()

    def version_changed(self) -> None:
        """Another version is in force: report it, and give it to the edges that it puts behind us."""
        self.reporter.report()
        self._keep_links()
        self._notifier.take(self._server.view.trusted.get)
        self._notifier.changed()

    def items_changed(self) -> None:
        """Give the edges behind us what is new."""
        self._notifier.changed()

    def _keep_links(self) -> None:
        view = self._server.view
        edges: dict[str, Hop] = {}
        if view.role is Role.FRONT_END:
            edges = {
                name: hop_to(view, name)
                for pool in view.pools.values()
                if pool.role is Role.EDGE and pool.next_hop == view.pool.name
                for name in pool.servers
            }
        self._links.keep(edges)
        self.reporter.keep(edges)

    # What the other end says

    def _settled(self, _link: Link) -> None:
        self.reporter.report()

    def _state_received(self, peer: str, state: ReplicationState) -> None:
        """What the other end holds: a version that is newer than ours is on its way, or exists at least."""
        self.applier.note_offer(state)
        self._follow_issuing(state.issuing)
        number, _ = state.topology
        newest = max(number, state.highest)
        if newest > self._documents.known_to_exist:
            self._documents.known_to_exist = newest
            self._server.gatekeeper.knows_of(newest)
            if newest > self._server.view.loaded.number:
                self._log.info(
                    "a newer topology version exists", version=newest, ours=self._server.view.loaded.number, by=peer
                )

    def _follow_issuing(self, issuing: str) -> None:
        """Another CA issues now, or shows itself by another certificate: we follow, and edges behind us hear of it.

        What somebody says here proves nothing; what is done by it leads to an anchor in force, or asks for a certificate.
        """
        if not issuing or issuing == self.held.issuing:
            return
        self.held.issuing = issuing
        shown = read_issuing(issuing)
        if shown is not None and self._applicant.show(shown, self._server.view):
            self._log.info(
                "the issuing CA has another certificate: chain updated", issuer=shown.issuer.rfc4514_string()
            )
        self.reporter.report_soon()
        self._notifier.changed()
