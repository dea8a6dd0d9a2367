"""A server that is told by management: it subscribes, takes what was signed, and says what it has in force.

A front end passes all of it on to the edges behind it, which management does not reach; what these say of themselves goes back
the same way. What an edge believes is the signature, whoever has brought it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sipmesh.distribution.event import is_ours
from sipmesh.distribution.items import Item, ItemKind, Key, ReplicationState
from sipmesh.distribution.notifier import Notifier
from sipmesh.distribution.subscriber import Subscriber
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.control_socket import Command
from sipmesh.server.management.server_reports import now_utc
from sipmesh.server.repeated_log import RepeatedLog
from sipmesh.server.replication.cert_renewal import CERTIFICATE, Applicant, read_issuing
from sipmesh.server.replication.control_links import ControlLinks
from sipmesh.server.replication.crl_store import CrlStore, is_portable
from sipmesh.server.replication.document_store import signed_by_management
from sipmesh.server.replication.revocation_push import REVOKED, named_in
from sipmesh.server.replication.server_status import ServerStatus, relayed_reports, text
from sipmesh.sip.message import Request, Response, respond
from sipmesh.storage.user_document import UserDocument
from sipmesh.topology.document.crl_cache import is_read, prepare
from sipmesh.transport.hop import Hop
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.distribution.event import Here
    from sipmesh.server.log import Log
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.x509.certificate import CertificateId

WAIT_FOR_LISTS_S = 5.0
"""A new version waits this long for revocation lists that it names and that are on their way: without them it would refuse."""

REPORT_EVERY_S = 10.0
"""How often a server says how it is, if nothing has changed."""

MOST_ERRORS = 20
"""Documents that were not taken, of which the report tells."""

MOST_READ_AHEAD = 8
"""Large lists that are read at the same time; who gives more of them gives them again later."""

MOST_EARLY = 64 << 20
"""Octets of lists that have come and that no version names yet."""


class Running(Protocol):
    """What a member asks of the server that it is part of."""

    @property
    def view(self) -> ServerView:
        """The topology in force."""

    def take(self, loaded: Loaded) -> list[str]:
        """Put a version in force; raises `OperatorError` where that cannot be."""

    def take_revoked(self, named: Iterable[CertificateId]) -> list[str]:
        """Refuse those certificates from now on, ahead of the list that has them; returns the links that are closed."""

    def take_users(self, document: bytes) -> int:
        """Take over who may log in; returns how many links that closed. Raises `OperatorError`."""

    def users_number(self) -> int:
        """The number of the users that are in force."""

    def not_listening(self) -> tuple[str, ...]:
        """Why it does not listen as published, where it does not."""

    def standing(self) -> ServerStatus:
        """What this server says of itself."""


class Agent:
    """The post of a front end or an edge; *look* has the server read files that were written."""

    def __init__(
        self,
        server: Running,
        documents: DocumentStore,
        here: Here,
        loop: asyncio.AbstractEventLoop,
        dial: Callable[[Hop], Link],
        look: Callable[[list[Path]], object],
        log: Log,
    ) -> None:
        self._server, self._documents, self._loop, self._look, self._log = server, documents, loop, look, log
        self._lists = CrlStore(documents.folder)
        self._topology = Item(ItemKind.TOPOLOGY, documents.document(), number=server.view.loaded.number)
        self._revoked: Item | None = None
        self._subscriber = Subscriber(here, self.state, self._told, self._given, self._settled, loop.time)
        self._notifier = Notifier(here, self, self._heard)
        self._rounds = ControlLinks(loop, dial)
        self._dial = dial
        self._offered: ReplicationState | None = None
        self._pending: tuple[bytes, Loaded] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._relayed: dict[str, tuple[float, ServerStatus]] = {}  # when each edge said it, by the loop's time
        self._dropped = RepeatedLog()
        self._applicant = Applicant(server.view.name, documents.state)
        self._early: dict[str, Item] = {}
        self._of_edges: dict[str, Item] = {}
        self._issuing = ""  # of the CA that issues now, as whoever gives to us says
        self._parts: list[bytes] = []  # of a users' document that is on its way
        self._errors: dict[Key, str] = {}  # what was not taken, by kind and name, until it is
        self._reading: dict[str, asyncio.Task[None]] = {}  # of large lists, by their digest
        self._reported_at = 0.0
        self._heard_at = loop.time()

    def __repr__(self) -> str:
        return f"<Agent {self._server.view.name}, version {self._server.view.loaded.number}>"

    def begin(self) -> None:
        """Reach the edges behind us, and ask our pool for the highest version that it knows."""
        self._keep_rounds()
        for name in self._server.view.pool_mates:
            self._dial(hop_to(self._server.view, name))

    def close(self) -> None:
        """Open no more links, and read nothing."""
        self._rounds.close()
        for task in self._reading.values():
            task.cancel()
        if self._patience is not None:
            self._patience.cancel()

    @property
    def behind(self) -> int:
        """The highest version that is known to exist, if it is higher than the one in force; else 0."""
        known = self._documents.known_to_exist
        return known if known > self._server.view.loaded.number else 0

    @property
    def newest(self) -> int:
        """The highest version that is known to exist."""
        return max(self._documents.known_to_exist, self._server.view.loaded.number)

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
        self._rounds.up(link)
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
        self._rounds.gone(link, why)

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
        ours = self._rounds.has(link)
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

    def tick(self) -> None:
        """Refresh, and say how we are."""
        self._subscriber.tick()
        if self._loop.time() - self._reported_at >= REPORT_EVERY_S:
            self.report()

    async def refresh(self) -> None:
        """There is nothing to look for: what changes is brought."""

    @property
    def clocks_s(self) -> tuple[float, ...]:
        """A member hears of no other clock."""
        return ()

    def commands(self) -> Mapping[str, Command]:
        """A member has no commands of its own."""
        return {}

    def lists_taken(self, _revoked: frozenset[CertificateId]) -> None:
        """Lists of this machine have come into force: the edges behind us get them as well."""
        self._notifier.changed()

    # Giving

    def state(self, peer: TrustedPeer | None = None) -> ReplicationState:
        """Tell what we hold; *peer* is whom we tell, None for who gives it to us."""
        items = self.items(peer)
        held = {item.key: (item.number, item.digest) for item in items}
        if peer is None:
            held[ItemKind.USERS, ""] = (self._server.users_number(), "")
        highest = max(self._documents.highest, self._documents.known_to_exist)
        return ReplicationState(held, now_utc().isoformat(), highest, self._issuing)

    def items(self, peer: TrustedPeer | None) -> Iterable[Item]:
        """Give what an edge gets: all but the users, and its own certificate."""
        revoked = (self._revoked,) if self._revoked is not None else ()
        own = (self._of_edges[peer.name],) if peer is not None and peer.name in self._of_edges else ()
        return (*revoked, *self._lists.items(self._server.view.loaded), self._topology, *own)

    def users(self, peer: TrustedPeer, since: int) -> Iterable[Item]:  # noqa: ARG002
        """Give nobody: an edge logs no one in."""
        return ()

    def _heard(self, peer: TrustedPeer, told: dict[str, Any]) -> str:
        """An edge behind us says how it is: management hears it from us. Returns what is wrong with the report."""
        try:
            status, fault = ServerStatus.read(told), ""
        except RemoteError as wrong:
            status, fault = ServerStatus(number=0, unreadable=text(str(wrong))), str(wrong)
            if self._dropped.is_due(peer.name, self._loop.time()):
                self._log.warning("server report rejected", peer=peer.name, by=peer.name, why=fault)
        self._relayed[peer.name] = self._loop.time(), status
        self.report()
        return fault

    def _keep_rounds(self) -> None:
        view = self._server.view
        edges: dict[str, Hop] = {}
        if view.role is Role.FRONT_END:
            edges = {
                name: hop_to(view, name)
                for pool in view.pools.values()
                if pool.role is Role.EDGE and pool.next_hop == view.pool.name
                for name in pool.servers
            }
        self._rounds.take(edges)
        self._relayed = {name: told for name, told in self._relayed.items() if name in edges}

    # Taking

    def _settled(self, _link: Link) -> None:
        self.report()

    def _told(self, peer: str, state: ReplicationState) -> None:
        """What the other end holds: a version that is newer than ours is on its way, or exists at least."""
        self._offered = state
        self._take_issuing(state.issuing)
        number, _ = state.topology
        newest = max(number, state.highest)
        if newest > self._documents.known_to_exist:
            self._documents.known_to_exist = newest
            if newest > self._server.view.loaded.number:
                self._log.info(
                    "a newer topology version exists", version=newest, ours=self._server.view.loaded.number, by=peer
                )

    def _take_issuing(self, issuing: str) -> None:
        """Another CA issues now, or shows itself by another certificate: we follow, and edges behind us hear of it.

        What somebody says here proves nothing; what is done by it leads to an anchor in force, or asks for a certificate.
        """
        if not issuing or issuing == self._issuing:
            return
        self._issuing = issuing
        shown = read_issuing(issuing)
        if shown is not None and self._applicant.show(shown, self._server.view):
            self._log.info(
                "the issuing CA has another certificate: chain updated", issuer=shown.issuer.rfc4514_string()
            )
        self._loop.call_soon(self.report)
        self._notifier.changed()

    def _given(self, peer: str, item: Item) -> None:
        """Take one item; a fault is told to whoever gave it, to management, and to our log."""
        try:
            if item.kind is ItemKind.TOPOLOGY:
                self._take_topology(item.body)
            elif item.kind is ItemKind.LIST:
                self._take_list(item)
            elif item.kind is ItemKind.USERS:
                self._take_users(item.body)
            elif item.kind is ItemKind.CERTIFICATE:
                self._take_certificate(item)
            else:
                self._take_revoked(item)
        except RemoteError as wrong:
            self._fail(item.key, f"{item.kind} from {peer}: {wrong}")
            raise
        except OperatorError as wrong:
            self._fail(item.key, f"{item.kind} from {peer}: {wrong}")
            raise RemoteError(f"{item.kind} not in force: {wrong.message}", rule="rule R12", status=488) from wrong
        if self._errors.pop(item.key, None) is not None:
            self._loop.call_soon(self.report)

    def _fail(self, key: Key, why: str) -> None:
        """Report what was not taken until it is; of many, the first are reported."""
        if key in self._errors or len(self._errors) < MOST_ERRORS:
            self._errors[key] = why
        self._log.error("document rejected: the old version stays in force", why=why)
        self._loop.call_soon(self.report)

    def _take_topology(self, jws: bytes) -> None:
        if jws == self._topology.body:
            return
        loaded = self._documents.newer(jws, self._server.view.loaded, now_utc())
        self._pending = (jws, loaded)
        self._take_early(loaded)
        if self._lists_to_come(loaded):
            if self._patience is None:
                self._patience = self._loop.call_later(WAIT_FOR_LISTS_S, self._out_of_patience)
            return
        self._apply()

    def _lists_to_come(self, loaded: Loaded) -> bool:
        """Whether a list that a new version names is not here, and was said to come."""
        offered = self._offered.held if self._offered is not None else {}
        return any(
            not (self._documents.folder / name).exists() and (ItemKind.LIST, name) in offered
            for name in loaded.list_names
        )

    def _out_of_patience(self) -> None:
        try:
            self._apply()
        except OperatorError as wrong:
            self._fail((ItemKind.TOPOLOGY, ""), str(wrong))

    def _apply(self) -> None:
        """Hold it, then put it in force: a crash in between starts with the new one."""
        if self._pending is None:
            return
        (jws, loaded), self._pending = self._pending, None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
            loaded = self._documents.read(jws)  # once more: its lists have come meanwhile
        self._documents.keep(jws, loaded)
        closed = self._server.take(loaded)
        self._topology = Item(ItemKind.TOPOLOGY, jws, number=loaded.number)
        self._errors.clear()
        self._log.info("topology in force", version=loaded.number, digest=self._topology.digest[:12], closed=closed)
        self.report()
        self._keep_rounds()
        self._notifier.take(self._server.view.trusted.get)
        self._notifier.changed()

    def _take_list(self, item: Item) -> None:
        """Write a list to its file, from where it comes into force as any list does; a large one is read by a thread first."""
        if not is_read(item.body):
            if len(self._reading) >= MOST_READ_AHEAD:
                raise RemoteError(f"too many large revocation lists at once: {item.name}", rule="rule R12", status=488)
            self._reading[item.digest] = self._loop.create_task(self._read_ahead(item))
            return
        loaded = self._pending[1] if self._pending is not None else self._server.view.loaded
        if item.name not in {*loaded.list_names, *self._server.view.loaded.list_names}:
            self._keep_early(item)
            return
        if self._lists.put(item, loaded, now_utc()):
            self._look([self._documents.folder / item.name])
        if self._pending is not None and not self._lists_to_come(self._pending[1]):
            self._apply()
        self._notifier.changed()

    async def _read_ahead(self, item: Item) -> None:
        """Read a large list in a thread, then take it; its receipt was answered already, and a fault is told in the status."""
        try:
            await asyncio.to_thread(prepare, item.body)
            self._take_list(item)
        except (RemoteError, OperatorError) as wrong:
            self._fail(item.key, f"{item.kind} {item.name}: {wrong}")
        finally:
            self._reading.pop(item.digest, None)

    def _keep_early(self, item: Item) -> None:
        """Lists come ahead of the version that names them; until one does, they are written nowhere."""
        if not is_portable(item.name):
            raise RemoteError(
                f"a revocation list with a path outside of the server's folder: {item.name}", rule="rule R5", status=488
            )
        held = sum(len(one.body) for one in self._early.values())
        if held + len(item.body) > MOST_EARLY:
            raise RemoteError(
                f"a revocation list that the topology does not name: {item.name}", rule="rule R5", status=488
            )
        self._early[item.name] = item

    def _take_early(self, loaded: Loaded) -> None:
        """A version names lists that are here already."""
        early, self._early = self._early, {}
        for name in loaded.list_names:
            if name in early:
                self._lists.put(early[name], loaded, now_utc())

    def _take_users(self, jws: bytes) -> None:
        payload = self._documents.newer_users(jws, self._server.view.loaded, now_utc())
        roster, before = UserDocument.decode(payload), self._server.users_number()
        closed = self._server.take_users(payload)
        self._parts = [*(self._parts if roster.part > 1 else ()), jws]
        if self._server.users_number() == before:
            return  # there are more parts to come
        self._documents.keep_users(self._parts, anew=not roster.since)
        self._parts = []
        self._log.info("users in force", closed=closed)
        self.report()

    def _take_certificate(self, item: Item) -> None:
        """Put our next certificate in place, or keep that of an edge for it."""
        if item.name != self._server.view.name:
            self._of_edges[item.name] = item
            self._notifier.changed()
            return
        payload = signed_by_management(item.body, CERTIFICATE, self._server.view.loaded, now_utc())
        if self._applicant.take(payload, self._server.view):
            self._log.info("certificate renewed", file=str(self._server.view.certificate))

    def _take_revoked(self, item: Item) -> None:
        payload = signed_by_management(item.body, REVOKED, self._server.view.loaded, now_utc())
        closed = self._server.take_revoked(named_in(payload))
        self._revoked = item
        self._log.info("pushed revocations in force", closed=closed)
        self._notifier.changed()

    # Saying how we are

    def report(self) -> None:
        """Publish what this server has in force."""
        self._reported_at = self._loop.time()
        loaded = self._server.view.loaded
        request = self._applicant.request(self._server.view, now_utc(), read_issuing(self._issuing))
        own = {
            "number": loaded.number,
            "digest": self._topology.digest,
            "highest": self._documents.known_to_exist,
            "at": now_utc(),
            "error": text("; ".join([*self._errors.values(), *self._server.not_listening()])),
            "request": request or "",
        }
        told = self._server.standing().model_copy(update=own).to_json()
        relayed = relayed_reports(self._relayed, self._loop.time())
        self._subscriber.publish({**told, "relayed": relayed} if relayed else told)


def hop_to(view: ServerView, server: str) -> Hop:
    """The way to the server port of one of our servers."""
    return Hop(server, LinkKind.SERVER, (view.addresses[server],))


def hops_to(view: ServerView, servers: Iterable[str]) -> Mapping[str, Hop]:
    """The ways to several."""
    return {name: hop_to(view, name) for name in servers if name != view.name}
