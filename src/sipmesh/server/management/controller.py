"""The management server's end of the control plane: it gives signed documents to every server, and receives reports."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from sipmesh.distribution.event import CALLS_EVENT, event_of, is_ours
from sipmesh.distribution.notifier import Notifier
from sipmesh.errors import NotLeadingError, OperatorError, RemoteError
from sipmesh.server.management.call_control import CallControl
from sipmesh.server.management.directory_follower import DirectoryFollower
from sipmesh.server.management.issuing import Issuing
from sipmesh.server.management.link_probing import LinkProbing
from sipmesh.server.management.network import Network
from sipmesh.server.management.network_calls import NetworkCalls
from sipmesh.server.management.network_traces import NetworkTraces
from sipmesh.server.management.offers import Offers
from sipmesh.server.management.order_sender import OrderSender
from sipmesh.server.management.own_faults import OwnFaults
from sipmesh.server.management.pool.file_exchange import FileExchange
from sipmesh.server.management.pool.leadership import Leadership
from sipmesh.server.management.publishing.decommission import CA, servers_of
from sipmesh.server.management.publishing.publisher import Publisher
from sipmesh.server.management.replies import UsersInForce
from sipmesh.server.management.report_receiver import ReportReceiver
from sipmesh.server.management.root_rotation import RootRotation
from sipmesh.server.management.server_faults import BEHIND_TOO_LONG
from sipmesh.server.management.server_reports import ServerReports
from sipmesh.server.management.traffic_ring import TrafficRing
from sipmesh.server.process.clock import JUMP, now_utc
from sipmesh.server.process.file_stamps import NO_STAMPS, stamp
from sipmesh.server.process.off_loop import when_large
from sipmesh.server.proxy.control_plane import ControlPlane
from sipmesh.server.replication.control_links import ControlLinks, hops_to
from sipmesh.sip.message import Request, Response, respond
from sipmesh.storage.seen_users import GO_ON
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from sipmesh.distribution.event import Here
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.log import Log
    from sipmesh.server.management.offers import Directory
    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.server.process.file_stamps import Stamps
    from sipmesh.server.replication.link_fault import LinkFault
    from sipmesh.server.replication.published_version import PublishedVersion
    from sipmesh.server.replication.server_status import PeerKind, ServerStatus
    from sipmesh.storage.audit import AuditLine
    from sipmesh.topology.document.load import Loaded
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.x509.certificate import CertificateId

RENEW_EVERY_S = 600.0
"""Seconds between two checks of management's own certificates; it renews them in the last third of their life."""

LOOK_BACK_EVERY_S = 2.0
"""Seconds between two looks whether the database still has what it has had."""

AGAIN_EVERY_S = 30.0
"""Seconds after which a version is sent again to servers that refused it: a full disk may have room by then."""

LOOK_AT_USERS_S = 0.02
"""Seconds between two looks whether each front end has accepted the users."""


class VersionLoader(Protocol):
    """What puts versions in force on this server (`refresh.reloader.Reloader`)."""

    def prepare(self, loaded: Loaded) -> InForce:
        """Compute what `put_prepared` needs; a thread may do so. Raises `OperatorError` if this server cannot use it."""

    def put_prepared(self, version: InForce, since: Stamps = NO_STAMPS) -> list[str]:
        """Put a version in force; returns the ids of the links that it closes. Raises `OperatorError` if that is impossible.

        *since* are the stamps of CRL files from before the version was loaded.
        """


class Controller(ControlPlane):
    """The control plane of the management server.

    *server* has the topology in force; the draft ``topology.yaml`` is in its folder. *own_status* returns the status of this
    server, and *loader* puts a new version in force.
    """

    def __init__(
        self,
        server: ManagementServer,
        loader: VersionLoader,
        own_status: Callable[[], ServerStatus],
        versions: PublishedVersion,
        users: Directory,
        here: Here,
        loop: asyncio.AbstractEventLoop,
        dial: Callable[[Hop], Link],
        log: Log,
    ) -> None:
        self._server, self._loader, self._versions = server, loader, versions
        self.management_db = management_db = versions.management_db
        self._loop, self._log, self._own_status = loop, log, own_status
        self._folder, audit = server.view.loaded.folder, management_db.audit
        self.reports, self.traffic = ServerReports(), TrafficRing(now_utc())
        self.network = Network(server, own_status, self.reports, self)
        self._issuing = Issuing(server, management_db, log)
        self._offers = Offers(
            server, management_db, versions.documents.document(), users, self._issuing.grantor, self._changed, log
        )
        self._receiver = ReportReceiver(
            server,
            self.reports,
            self.traffic,
            self._issuing.grantor,
            lambda: self.newest,
            self._changed,
            audit,
            loop,
            log,
        )
        self._notifier = Notifier(here, self._offers, self._report_received, self._traced, loop.time, self._offers)
        orders = OrderSender(server, management_db, self._notifier.send_once)
        self.link_probing = LinkProbing(orders, self.network)
        self.traces = NetworkTraces(orders, management_db, self.network, loop)
        self.calls = NetworkCalls(
            server, management_db, lambda: self.leadership.leads, self.network.without_records, loop, log
        )
        self.directory = DirectoryFollower(server, management_db, lambda: self.leadership.leads, loop, log)
        self.call_control = CallControl(orders, management_db, self.network, self.calls, loop)
        self._links = ControlLinks(loop, dial)
        self._gave_again_at = self._renewed_at = loop.time()
        self._wall = now_utc()
        self._checked_ledger_at, self._looked_back_at = -RENEW_EVERY_S, -LOOK_BACK_EVERY_S
        self._checking_ledger: asyncio.Task[None] | None = None
        self.publisher = Publisher(server, own_status, versions, users, self.reports, self._apply, log)
        self.root_rotation = RootRotation(
            self._folder / CA, server, own_status, self.network, audit, self._root_changed, log
        )
        self._publishing_again: asyncio.Task[None] | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._files = FileExchange(server, management_db, versions.documents, log)
        self._logged_fault = ""  # why a version of the database does not count here
        management_db.lease.floor = versions.documents.fencing
        self.leadership: Leadership = Leadership(management_db.lease, self, log)
        followed = self._issuing, self._offers, self._notifier, self.calls, self.directory
        self.own_faults = OwnFaults(server, versions, self.leadership, self._files, *followed)
        self.leadership.begin()
        self._issuing.finish_own()
        if self.leadership.leads:
            self._renew_own()  # before it listens: certificates that expired while it was off must not stop it from starting

    def begin(self) -> None:
        """Open a link to every front end, if this server leads."""
        self._log_refused()
        self._keep_links()
        self._publish_if_overtaken()

    # The management pool

    async def lead(self) -> None:
        """Lead from now on: renew our certificates, publish what the leader before has signed again, and reach every server."""
        self._renew_own()
        self._keep_links()
        if self._offers.fencing < self.management_db.lease.fencing:
            await self._publish_again()

    async def follow(self) -> None:
        """Put the newest version that counts here in force, and store the files that the leader has sealed for this server."""
        await self._catch_up()
        self.management_db.lease.floor = self._versions.documents.fencing
        await self._files.receive()

    async def _catch_up(self) -> None:
        """Put the newest version of the database in force, if it counts here as at any other server."""
        held = self._server.view.loaded
        newest = await asyncio.to_thread(self._versions.catch_up, held, now_utc())
        self._log_refused()
        if newest.number > held.number:
            await self._put_in_force(lambda: newest, 0)

    async def _catch_up_again(self) -> None:
        """Put a version of the database in force that did not count here before, or that the disk had no room for.

        One does not count at the start of a leader if a CRL has expired, for example.
        """
        async with self.publisher.turn:
            with suppress(OperatorError):
                await self._catch_up()

    def _log_refused(self) -> None:
        """Log once why a version of the database does not count here."""
        fault = self._versions.fault
        if fault and fault != self._logged_fault:
            self._log.error("a version of the management database is refused", why=fault)
        self._logged_fault = fault

    async def replicate(self) -> None:
        """Seal what has changed in the CA for the other management servers, if this server leads."""
        if self.leadership.leads and self.management_db.lease.is_of_pool:
            await self._files.give()

    @property
    def version(self) -> int:
        """The version that is in force here."""
        return self._server.view.loaded.number

    def step_down(self) -> None:
        """Let another server lead: stop giving documents and receiving reports."""
        self._keep_links()

    def must_lead(self) -> None:
        """Raise `NotLeadingError`, which names the leader, unless this server leads and has taken over completely."""
        self.management_db.lease.must_lead()
        if not self.leadership.is_ready:
            name = self._server.view.name
            raise NotLeadingError(f"{name} is taking over the management pool; try again in a few seconds")

    def close(self) -> None:
        """Stop opening links and computing documents."""
        self.leadership.close()
        if self._publishing_again is not None:
            self._publishing_again.cancel()
        if self._catching_up is not None:
            self._catching_up.cancel()
        if self._checking_ledger is not None:
            self._checking_ledger.cancel()
        self._links.close()
        self.calls.close()
        self.directory.close()
        self._offers.close()

    # Links and messages

    def link_up(self, link: Link) -> None:
        """A link to a server is up: the server will subscribe."""
        self._links.up(link)

    def link_down(self, link: Link, why: str) -> None:
        """Forget the subscriptions on *link*."""
        self._notifier.gone(link)
        self._links.gone(link, why)
        self.network.changed()

    def requested(self, link: Link, peer: TrustedPeer, request: Request) -> bool:
        """Serve a request of our event package: a subscription, or a status; return False for any other request."""
        if not is_ours(request):
            return False
        if request.method == "SUBSCRIBE" and peer.role is Role.FRONT_END:
            self._notifier.subscribed(link, peer, request, stays=self._links.has(link))
        elif request.method == "PUBLISH" and event_of(request) == CALLS_EVENT:
            self.calls.received(link, peer, request)
        elif request.method == "PUBLISH":
            link.send(self._notifier.published(link, peer, request).encode())
        else:
            link.send(respond(request, 403).encode())
        return True

    def responded(self, link: Link, response: Response) -> None:
        """Send more to a server that has answered a NOTIFY."""
        self._notifier.responded(link, response)

    @property
    def linked(self) -> Collection[str]:
        """The servers that have subscribed."""
        return self._notifier.subscribers

    def fault_of(self, server: str) -> LinkFault | None:
        """Return why there is no link to *server*; None if there is one, or if there should be none."""
        return self._links.fault_of(server)

    def dial(self, servers: Iterable[str]) -> Callable[[], frozenset[str]]:
        """Dial *servers* at once to which there is no link; the function gives those that a dial since then has not reached."""
        return self._links.dial(servers)

    def _report_received(self, peer: TrustedPeer, report: Mapping[str, object]) -> str:
        """Accept the report of a server; returns its fault, or empty."""
        fault = self._receiver.receive(peer, report)
        self.network.changed()
        return fault

    def _traced(self, peer: TrustedPeer, document: Mapping[str, object]) -> str:
        """Take what a server has traced; returns the fault of the document, or empty."""
        return self.traces.receive(peer, document)

    # Figures

    @property
    def newest(self) -> int:
        """The version that every server should have in force."""
        return self._offers.number

    @property
    def behind(self) -> int:
        """How many servers have not confirmed that version."""
        return len(self.network.missing(self.newest))

    @property
    def faulty(self) -> Sequence[tuple[PeerKind, str]]:
        """The kind and the code of each fault of the network."""
        return self.network.status(self.newest).faulty

    def audit_head(self) -> AuditLine | None:
        """Return the last line of the audit log; None if it is empty, or if its database cannot be used."""
        with suppress(OperatorError):
            return self.management_db.audit.last()
        return None

    @property
    def clocks_s(self) -> tuple[float, ...]:
        """The seconds by which the clocks of other servers are ahead of ours."""
        return self.network.clocks_s()

    # What has changed

    def tick(self) -> None:
        """Renew our certificates, send the version again to servers that are behind, and log these servers."""
        self._notifier.tick()
        self.calls.tick()
        self.directory.tick()
        now = self._loop.time()
        before, self._wall = self._wall, now_utc()
        is_due = self._wall < before - JUMP  # what was issued under a clock that was ahead is not valid yet
        if (is_due or now - self._renewed_at >= RENEW_EVERY_S) and self.leadership.leads:
            self._renewed_at = now
            self._renew_own()
        if now - self._checked_ledger_at >= RENEW_EVERY_S:
            self._checked_ledger_at = now
            self._checking_ledger = self._loop.create_task(self._issuing.check_ledger())
        if now - self._gave_again_at >= AGAIN_EVERY_S:
            self._gave_again_at = now
            self.traffic.saw(self._server.view.name, self._own_status(), now_utc())
            self._publish_if_overtaken()
            if self.leadership.leads:
                self._catching_up = self._loop.create_task(self._catch_up_again())
            self._notifier.give_users_again()
            for name, report in self.reports.reports.items():
                if report.number < self.newest:
                    self._notifier.again(name)
        for name, report in self.reports.late(now_utc(), BEHIND_TOO_LONG):
            fault = self._links.fault_of(name)
            why = report.status.error or (fault.why if fault is not None else "the server has reported no error")
            self._log.warning("server is behind", peer=name, holds=report.number, newest=self.newest, why=why)

    async def refresh_users(self) -> None:
        """Read changes of users, and send them to the servers of their pools."""
        if await self._offers.refresh_users():
            self._changed()
        await self._look_back()

    async def users_in_force(self, wait_s: float) -> UsersInForce:
        """Read and send changes of users, and wait at most *wait_s* seconds until each front end with a link has accepted them.

        A front end without a link is missing at once: it gets the users when it can be reached. A front end that was never
        started has no users, and does not count.
        """
        await self.refresh_users()
        until = self._loop.time() + wait_s
        while self._without_users() & set(self._notifier.subscribers) and self._loop.time() < until:
            await asyncio.sleep(LOOK_AT_USERS_S)
        servers = self._front_ends_with_users()
        return UsersInForce(self._offers.users_number, sorted(self._without_users()), len(servers))

    def _without_users(self) -> frozenset[str]:
        return self._front_ends_with_users() - self._notifier.with_users(self._offers.users_number)

    def _front_ends_with_users(self) -> frozenset[str]:
        return frozenset(self.network.front_ends()) - self.network.not_started()

    async def _look_back(self) -> None:
        """Look at intervals whether the database has lost something, and log it once."""
        if self._loop.time() - self._looked_back_at < LOOK_BACK_EVERY_S:
            return
        self._looked_back_at, before = self._loop.time(), self._versions.lost
        with suppress(OperatorError):  # the lease says that the database cannot be used
            await asyncio.to_thread(self._versions.look_back)
        if self._versions.lost and self._versions.lost != before:
            self._log.error("the management database has lost something", why=self._versions.lost, remedy=GO_ON)

    def crls_changed(self, revoked: frozenset[CertificateId]) -> None:
        """CRLs of this machine came into force: send them to every server; the new revocations are pushed before them."""
        if revoked:
            self._offers.revoke(revoked)
        self._changed()

    def _changed(self) -> None:
        self._notifier.changed()

    def _renew_own(self) -> None:
        self._issuing.renew_own()
        self._offers.issuing = self._issuing.shown

    def _publish_if_overtaken(self) -> None:
        """Publish the newest version again if an earlier leader, or a host that is lost, has signed it.

        A server that knows our fencing number would refuse it.
        """
        if self.leadership.leads and self._offers.fencing < self.management_db.lease.fencing:
            self._publishing_again = self._loop.create_task(self._publish_again())

    async def _publish_again(self) -> None:
        fencing = self.management_db.lease.fencing
        try:
            await self.publisher.publish_again(f"{self._server.view.name} leads, with fencing number {fencing}")
        except OperatorError as wrong:
            why = str(wrong)
            self._log.error("the newest version is not signed again: servers that are behind cannot load it", why=why)

    def _root_changed(self) -> None:
        self._renew_own()
        self._changed()

    async def _apply(self, number: int, octets: int) -> list[str]:
        """Put a version of the history in force here, and send it to every server; returns the ids of the closed links."""
        in_force = self._server.view.loaded
        return await self._put_in_force(
            lambda: self._versions.accept(self.management_db.history.get(number), in_force, now_utc()), octets
        )

    async def _put_in_force(self, load: Callable[[], Loaded], octets: int) -> list[str]:
        """Put the version in force that *load* returns, of about *octets*, and send it to every server."""
        self.reports.published(now_utc())
        crls = {file: stamp(file) for file in self._server.view.loaded.lists}
        before = servers_of(self._server.view.loaded)
        try:
            version = await when_large(octets, lambda: self._loader.prepare(load()))
            closed = self._loader.put_prepared(version, crls)
        except (OperatorError, RemoteError) as wrong:  # such as a version without management: the others follow it
            self._log.error("published, but not in force on this server", why=str(wrong))
            closed = []
        self.management_db.lease.floor = self._versions.documents.fencing
        fencing = self._offers.fencing
        self._offers.offer_version(self._versions.documents.document())
        if self._offers.fencing > fencing:  # servers refuse what has the number before
            self._issuing.sign_anew()
        self.network.joins(servers_of(self._server.view.loaded) - before)
        self._notifier.use_topology(self._server.view.trusted.get)
        self._keep_links()
        self._changed()
        return closed

    def _keep_links(self) -> None:
        front_ends = self.network.front_ends() if self.leadership.leads else ()
        self._links.keep(hops_to(self._server.view, front_ends))
        members = frozenset(member.name for member in self.network.members())
        self.reports.keep(members)
        self.traffic.keep(members | {self._server.view.name})
