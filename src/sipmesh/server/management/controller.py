"""The management server: it holds the master of the topology, signs what is published, and gives it to everybody."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.distribution.event import is_ours
from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.distribution.notifier import Notifier
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.agent.agent import hops_to
from sipmesh.server.control_socket import Command
from sipmesh.server.management.commands import ManagementCommands
from sipmesh.server.management.decommission import CA, servers_of
from sipmesh.server.management.document_signing import sign_as
from sipmesh.server.management.publisher import Publisher
from sipmesh.server.management.refusal_audit import RefusalAudit
from sipmesh.server.management.root_rotation import RootRotation
from sipmesh.server.management.server_faults import Known, apart, reported_faults
from sipmesh.server.management.server_reports import ServerReports, now_utc
from sipmesh.server.repeated_log import RepeatedLog
from sipmesh.server.replication.cert_renewal import Grantor, about, renew_own, show_own, signer_chain
from sipmesh.server.replication.control_links import ControlLinks
from sipmesh.server.replication.crl_store import CrlStore
from sipmesh.server.replication.document_store import USERS
from sipmesh.server.replication.revocation_push import REVOKED, revoked_payload
from sipmesh.server.replication.server_status import ServerStatus
from sipmesh.server.replication.topology_source import version_of
from sipmesh.sip.message import Request, Response, respond
from sipmesh.storage.audit import AuditAct
from sipmesh.topology.home_pools import home_by_default
from sipmesh.topology.versions.load_published import load_published
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.distribution.event import Here
    from sipmesh.server.log import Log
    from sipmesh.storage.audit import AuditLine
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.x509.certificate import CertificateId

LONGEST_WAIT_S = 60.0

RENEW_EVERY_S = 600.0
"""How often management looks at its own certificates; it has a third of their life to renew them in."""

AGAIN_EVERY_S = 30.0
"""How often a version is given once more to those that have refused it: a disk that was full may have room by now."""


class ManagedServer(Protocol):
    """What a master asks of the server that it is part of."""

    @property
    def view(self) -> ServerView:
        """The topology in force."""

    def take(self, loaded: Loaded) -> list[str]:
        """Put a version in force; raises `OperatorError` where that cannot be."""

    def standing(self) -> ServerStatus:
        """What this server says of itself."""


class Directory(Protocol):
    """The users, as a master gives them to the servers of their pools."""

    def refresh(self) -> frozenset[str]:
        """Take over what has changed; blocks for as long as the database does."""

    def documents(self, organisation: str, pool: str, otherwise: str, *, since: int = 0) -> Sequence[bytes]:
        """Give what has changed for a pool since it had that number, as payloads to be signed."""

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """The pools where users are at home, "" for those who were given none, and the domains of their addresses."""

    @property
    def number(self) -> int:
        """The version of the users, as of the last `refresh`."""


class Controller:
    """The post of the management server. *folder* is the organisation's, with the draft ``topology.yaml`` in it."""

    def __init__(
        self,
        server: ManagedServer,
        management_db: ManagementDb,
        users: Directory,
        here: Here,
        loop: asyncio.AbstractEventLoop,
        dial: Callable[[Hop], Link],
        log: Log,
    ) -> None:
        self._server, self._users, self._loop, self._log = server, users, loop, log
        self._chronicle, self._audit = management_db, management_db.audit
        self._folder = server.view.loaded.folder
        self._lists = CrlStore(self._folder)
        self._topology = self._head_item()
        self._of_pool: dict[tuple[str, int], list[Item]] = {}
        self._owing = False  # whether a server lacks users that the database did not give
        self._revoked: Item | None = None
        self._notifier = Notifier(here, self, self._heard)
        self._rounds = ControlLinks(loop, dial)
        self.reports = ServerReports()
        self._dropped = RepeatedLog()
        self._news = asyncio.Event()
        self._new: frozenset[str] = frozenset()  # the servers that have come with the newest version
        self._gave_again_at = self._renewed_at = loop.time()
        self._grantor = Grantor(self._folder / CA, self._sign, self._granted)
        self._not_granted = RefusalAudit()
        self._issuing = ""
        self.publisher = Publisher(server, management_db, users, self.reports, self._apply, log)
        self.succession = RootRotation(self._folder / CA, server, self, self._audit, self._root_changed, log)
        self._renew_own()  # before it listens: what ended while it was off must not keep it from coming back

    def __repr__(self) -> str:
        return f"<Controller {self._server.view.name}, version {self._topology.number}>"

    def _head_item(self) -> Item:
        number = self._server.view.loaded.number
        return Item(ItemKind.TOPOLOGY, self._chronicle.history.get(number).jws, number=number)

    def commands(self) -> Mapping[str, Command]:
        """The commands of the control socket that only management has."""
        return ManagementCommands(self, self.publisher, self.succession, self._chronicle).commands()

    def begin(self) -> None:
        """Reach every front end."""
        self._keep_rounds()

    def close(self) -> None:
        """Open no more links."""
        self._rounds.close()

    # Links and messages

    def link_up(self, link: Link) -> None:
        """A server can be reached: it will subscribe."""
        self._rounds.up(link)

    def link_down(self, link: Link, why: str) -> None:
        """Forget what was agreed on the link."""
        self._notifier.gone(link)
        self._rounds.gone(link, why)

    def requested(self, link: Link, peer: TrustedPeer, request: Request) -> bool:
        """Serve a request of our package: a subscription on a link that we opened, or a status."""
        if not is_ours(request):
            return False
        if request.method == "SUBSCRIBE" and peer.role is Role.FRONT_END:
            self._notifier.subscribed(link, peer, request, stays=self._rounds.has(link))
        elif request.method == "PUBLISH":
            link.send(self._notifier.published(link, peer, request).encode())
        else:
            link.send(respond(request, 403).encode())
        return True

    def responded(self, link: Link, response: Response) -> None:
        """Nothing waits for the answers to NOTIFY: a server says in its status what it has taken."""

    def report(self) -> None:
        """There is nobody to report to: management sees how it is itself."""

    @property
    def newest(self) -> int:
        """The version that every server should hold."""
        return self._topology.number

    @property
    def behind(self) -> int:
        """How many servers have not said that they have it in force."""
        return len(self.missing(self._topology.number))

    def audit_head(self) -> AuditLine | None:
        """The last line of the audit log."""
        return self._audit.last()

    @property
    def clocks_s(self) -> tuple[float, ...]:
        """By how many seconds the clocks of servers that report themselves are ahead of ours."""
        told = (report.clock_s for report in self.reports.reports.values())
        return tuple(one for one in told if one is not None)

    def tick(self) -> None:
        """Tell of servers that stay behind, and give them the version once more now and then."""
        if self._loop.time() - self._renewed_at >= RENEW_EVERY_S:
            self._renewed_at = self._loop.time()
            self._renew_own()
        if self._loop.time() - self._gave_again_at >= AGAIN_EVERY_S:
            self._gave_again_at = self._loop.time()
            for name, report in self.reports.reports.items():
                if report.number < self._topology.number:
                    self._notifier.again(name)
        for name, report in self.reports.late(now_utc()):
            why = report.status.error or self._rounds.why_not(name) or "the server has reported no error"
            self._log.warning("server is behind", peer=name, holds=report.number, newest=self._topology.number, why=why)

    # Giving

    def state(self, peer: TrustedPeer) -> ReplicationState:
        """Tell what there is for *peer*."""
        held = {item.key: (item.number, item.digest) for item in self.items(peer)}
        return ReplicationState(held, now_utc().isoformat(), self._topology.number, self._issuing)

    def items(self, peer: TrustedPeer) -> Iterable[Item]:
        """Give everything for *peer*: what revokes first."""
        if self._revoked is not None:
            yield self._revoked
        yield from self._lists.items(self._server.view.loaded)
        yield self._topology
        for name in (peer.name, *edges_behind(self._server.view, peer.pool or "")):
            if (granted := self._grantor.item(name)) is not None:
                yield granted

    def users(self, peer: TrustedPeer, since: int) -> Iterable[Item]:
        """Give what has changed of the users of the pool of *peer*; each change is signed once for all of its servers.

        Nothing while the database cannot be used: it follows with the next `refresh` that succeeds.
        """
        pool = peer.pool
        if pool is None or since == self._users.number:
            return ()
        if (pool, since) not in self._of_pool:
            try:
                self._of_pool[pool, since] = self._changed_in(pool, since)
            except OperatorError as wrong:
                self._owing = True
                self._log.warning("users not sent yet", peer=peer.name, why=str(wrong))
                return ()
        return self._of_pool[pool, since]

    def _changed_in(self, pool: str, since: int) -> list[Item]:
        topology, number = self._server.view.loaded.topology, self._users.number
        payloads = self._users.documents(topology.organisation, pool, home_by_default(topology), since=since)
        signed = (self._sign(payload, USERS) for payload in payloads)
        return [Item(ItemKind.USERS, document, str(part), number) for part, document in enumerate(signed)]

    def lists_taken(self, revoked: frozenset[CertificateId]) -> None:
        """Lists of this machine have come into force: everybody gets them, and ahead of them whom they newly revoke."""
        if revoked:
            payload = revoked_payload(self._server.view.organisation, int(now_utc().timestamp() * 1000), revoked)
            try:
                self._revoked = Item(ItemKind.REVOKED, self._sign(payload, REVOKED))
            except OperatorError as wrong:
                self._log.warning(
                    "revocations cannot be pushed: servers receive them with the revocation list", why=str(wrong)
                )
        self._notifier.changed()

    async def refresh(self) -> None:
        """Take over changes of users and give them to the servers of their pools.

        A database that cannot be reached for the moment stops nothing else, and the log says so.
        """
        try:
            changed = await asyncio.to_thread(self._users.refresh)
        except OperatorError as wrong:
            self._log.warning("user database cannot be read: the known users stay in force", why=str(wrong))
            return
        if changed or self._owing:
            self._owing = False
            self._of_pool.clear()
            self._notifier.changed()

    # Reports

    def _heard(self, peer: TrustedPeer, told: dict[str, Any]) -> str:
        """Take the report of a server, and those of edges that it brings; returns what is wrong with its own."""
        relayed = told.pop("relayed", None)
        fault = self._take_report(peer.name, told)
        if isinstance(relayed, dict):
            for name in relayed.keys() & edges_behind(self._server.view, peer.pool or ""):
                self._take_report(name, relayed[name], by=peer.name)
        news, self._news = self._news, asyncio.Event()
        news.set()
        return fault

    def _take_report(self, server: str, told: object, by: str = "") -> str:
        """Take one report; one that cannot be read changes nothing but what is said of this server."""
        at = now_utc()
        try:
            status = ServerStatus.read(told)
            fault = status.unreadable if by else ""
        except RemoteError as wrong:
            fault = str(wrong)
        if fault:
            self.reports.unreadable(server, fault, by)
            if self._dropped.is_due(f"{server} {by}", self._loop.time()):
                self._log.warning("server report rejected", peer=server, by=by or server, why=fault)
            return fault
        self._grant(server, status.request, at)
        self.reports.heard(server, status, at, self._topology.number, by=by)
        return ""

    def _grant(self, server: str, request: str, at: datetime) -> None:
        """Give a server the certificate that it asks for."""
        if not request:
            return
        try:
            if self._grantor.asked(server, request, self._server.view.loaded, at):
                self._notifier.changed()
        except (OperatorError, RemoteError) as wrong:
            line = self._not_granted.line(server, str(wrong), at)
            if line is not None:
                self._log.warning("certificate not renewed", peer=server, why=line["refused"])
                self._audit.append(server, AuditAct.REFUSED, {"act": "issue", **line}, at=at)

    def _granted(self, server: str, certificate: x509.Certificate) -> None:
        self._log.info("certificate issued", peer=server, serial=f"{certificate.serial_number:x}")
        self._audit.append(server, AuditAct.ISSUE, about(server, certificate), at=now_utc())

    def _renew_own(self) -> None:
        """Renew what we show and sign with; a new certificate comes into use as every file that changes does."""
        try:
            signer = signer_chain(self._server.view)
            for made in renew_own(self._server.view, self._folder / CA, now_utc()):
                self._granted(self._server.view.name, made)
            if CaGenerations.are_in(self._folder / CA):
                show_own(self._server.view, self._folder / CA)
                shown = CaGenerations(self._folder / CA).current.shown
                self._issuing = b64encode(shown.public_bytes(Encoding.DER)).decode()
            if signer_chain(self._server.view) != signer:
                self._grantor.sign_anew()
        except OperatorError as wrong:
            self._log.error("own certificate not renewed", why=str(wrong))

    def _members(self) -> list[tuple[str, str, Role]]:
        """Every server that is to follow, with its pool and role."""
        pools = self._server.view.pools.values()
        of_ours = (pool for pool in pools if pool.role in (Role.FRONT_END, Role.EDGE))
        return [(name, pool.name, pool.role) for pool in of_ours for name in pool.servers]

    def _keep_rounds(self) -> None:
        front_ends = (name for name, _, role in self._members() if role is Role.FRONT_END)
        self._rounds.take(hops_to(self._server.view, front_ends))
        self.reports.keep(frozenset(name for name, _, _ in self._members()))

    def missing(self, number: int) -> list[str]:
        """Those that have not said that they have a version in force."""
        have = self.reports.servers_with(number)
        return [name for name, _, _ in self._members() if name not in have]

    def statuses(self) -> dict[str, ServerStatus | None]:
        """The last report of each server, None for one that was never heard."""
        reports = self.reports.reports
        return {name: reports[name].status if name in reports else None for name, _, _ in self._members()}

    @property
    def size(self) -> int:
        """How many servers are to follow."""
        return len(self._members())

    async def acknowledged(self, number: int, wait_s: float) -> tuple[list[str], list[str]]:
        """Wait until every server has said that it has a version in force, or the time is up; gives those that have not.

        Nobody waits for a server that has come with the newest version and was not heard of yet: it begins with that. The
        second list has those.
        """
        until = self._loop.time() + wait_s
        while missing := [name for name in self.missing(number) if name not in self._new]:
            left = until - self._loop.time()
            if left <= 0:
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)
        return missing, [name for name in self.missing(number) if name in self._new]

    def network(self) -> dict[str, Any]:
        """Every server with what it holds and what is wrong with it, against the master's version."""
        at, roles = now_utc(), {name: role for name, _, role in self._members()}
        known = self._known()
        split = apart(known)
        servers = []
        for one in known:
            faults = [*one.faults(self._topology.number, at), *([split[one.pool]] if one.pool in split else [])]
            told = {**one.to_json(at), "role": roles[one.server], "faults": [fault.to_json() for fault in faults]}
            servers.append(told)
        ours, name = self._server.standing(), self._server.view.name
        master = {**ours.facts(), "server": name, "faults": [one.to_json() for one in reported_faults(name, ours)]}
        return {"version": self._topology.number, "at": at.isoformat(), "master": master, "servers": servers}

    def _known(self) -> list[Known]:
        """What is known of each server that is to follow."""
        linked = frozenset(self._notifier.subscribers)
        reports, misread = self.reports.reports, self.reports.misread
        return [
            Known(name, pool, reports.get(name), name in linked, self._rounds.why_not(name), misread.get(name, {}))
            for name, pool, _ in self._members()
        ]

    # What was published

    def _apply(self, number: int) -> list[str]:
        """Live by a version that is in the history, and give it to everybody."""
        self._topology = Item(ItemKind.TOPOLOGY, self._chronicle.history.get(number).jws, number=number)
        self._of_pool.clear()
        self.reports.published(now_utc())
        before = servers_of(self._server.view.loaded)
        try:
            closed = self._server.take(load_published(version_of(self._chronicle, number), self._folder))
        except OperatorError as wrong:  # such as one without management: who holds it follows it all the same
            self._log.error("published, but not in force on this server", why=str(wrong))
            closed = []
        self._new = servers_of(self._server.view.loaded) - before
        self._notifier.take(self._server.view.trusted.get)
        self._keep_rounds()
        self._notifier.changed()
        return closed

    def _sign(self, payload: bytes, kind: str) -> bytes:
        return sign_as(self._server.view, payload, kind, now_utc())

    def _root_changed(self) -> None:
        self._renew_own()
        self._notifier.changed()


def edges_behind(view: ServerView, pool: str) -> frozenset[str]:
    """The edges that hand requests to a front-end pool, and are told by it what management has signed."""
    pools = (one for one in view.pools.values() if one.role is Role.EDGE and one.next_hop == pool)
    return frozenset(name for one in pools for name in one.servers)
