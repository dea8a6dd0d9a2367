"""Applies what management sends to a managed server: each document is verified, stored, and put in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.database.number_ceilings import USERS_NUMBERS
from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki.file_error import FileError
from sipmesh.server.agent.applicant import Applicant
from sipmesh.server.agent.document_queue import DocumentQueue
from sipmesh.server.agent.storage_retry import StorageRetry
from sipmesh.server.agent.user_storage import UserStorage
from sipmesh.server.process.clock import now_utc
from sipmesh.server.process.file_stamps import stamp
from sipmesh.server.process.off_loop import LARGE, off_loop
from sipmesh.server.replication.control_links import edges_behind
from sipmesh.server.replication.renewal import CERTIFICATE
from sipmesh.server.replication.revocation_push import REVOKED, named_in
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.trust.role import BORDERS

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime

    from sipmesh.errors import SipmeshError
    from sipmesh.server.agent.crl_receiver import CrlReceiver
    from sipmesh.server.agent.managed_server import Loader, ManagedServer
    from sipmesh.server.agent.status_reporter import StatusReporter
    from sipmesh.server.agent.stored_items import StoredItems
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.log import Log
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.topology.document.load import Loaded

IN_ORDER: Final = frozenset({ItemKind.TOPOLOGY, ItemKind.USERS})
"""The kinds whose large documents are applied in a thread, in their order."""

MOST_OF_GIVER: Final = 4
"""Large versions of one front end that wait at an edge: a stolen one sends them faster than they are read."""

WAIT_FOR_LISTS_S = 5.0
"""Seconds that a new version waits for CRLs that it names and that are announced: without them peers would be refused."""


class Follower(Protocol):
    """What reacts to changes of the documents in force (`agent.agent.Agent`)."""

    def version_changed(self) -> None:
        """Another version is in force."""

    def version_received(self) -> None:
        """A signed version has arrived, in force or not."""

    def items_changed(self) -> None:
        """The documents for the edges behind us have changed."""


class DocumentApplier:
    """Applies the items that one server receives; *follower* is called after a change."""

    def __init__(
        self,
        server: ManagedServer,
        documents: DocumentStore,
        held: StoredItems,
        crls: CrlReceiver,
        applicant: Applicant,
        loader: Loader,
        reporter: StatusReporter,
        follower: Follower,
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._server, self._documents, self._held, self._crls = server, documents, held, crls
        self._applicant, self._loader, self._reporter, self._follower = applicant, loader, reporter, follower
        self._loop, self._log = loop, log
        self._offered: ReplicationState | None = None
        self._pending: tuple[bytes, Loaded] | None = None
        self._wait: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []  # of a users' document whose other parts have not arrived
        self._user_storage = UserStorage(documents.users, reporter, loop)
        self._retry = StorageRetry(self._try_again, loop)
        self._queue = DocumentQueue(self._accept_large, self._applied, self._failed)
        self._complete = b""  # a large version that waits for no CRL any more
        self._leader = documents.fencing  # the fencing number of what is held

    def close(self) -> None:
        """Stop reading CRLs, and apply no waiting version any more."""
        self._crls.close()
        self._queue.close()
        if self._wait is not None:
            self._wait.cancel()

    def note_offer(self, state: ReplicationState) -> None:
        """Note what the server that gives us documents holds."""
        self._offered = state

    def receive(self, peer: str, item: Item) -> None:
        """Apply one item; a fault is raised as `RemoteError` for the sender, reported to management, and logged.

        An item that waits for room on the disk is not applied again: it is tried at its own pace.
        """
        self._must_fit(peer, item)
        if not self._retry.has(item):
            self._try_again(peer, item)

    def _must_fit(self, peer: str, item: Item) -> None:
        """Refuse what no front end has to give to an edge: users, and many versions at once. They would fill its memory."""
        if self._server.view.role not in BORDERS or item.kind not in IN_ORDER:
            return
        if item.kind is ItemKind.USERS:
            raise RemoteError(f"users, which an {self._server.view.role} does not have", rule="rule R5", status=488)
        if self._queue.waiting_of(peer) >= MOST_OF_GIVER:
            raise RemoteError("too many large versions at once", rule="rule R5", status=488)

    def _try_again(self, peer: str, item: Item) -> None:
        """Apply one item at once, or a large one in its turn; the sender of a large item reads an error in the status."""
        if item.kind in IN_ORDER and (len(item.body) >= LARGE or self._queue.is_busy):
            self._queue.put(peer, item)
            return
        try:
            self._accept(item)
        except RemoteError as wrong:
            self._failed(peer, item, wrong)
            raise
        except OperatorError as wrong:
            self._failed(peer, item, wrong)
            raise RemoteError(f"{item.kind} not in force: {wrong.message}", rule="rule R12", status=488) from wrong
        self._applied(item)

    def _applied(self, item: Item) -> None:
        self._retry.stored(item)
        self._reporter.mend(item.key)
        if self._documents.fencing > self._leader:
            self._leader = self._documents.fencing
            self._held.forget_earlier_leader(item)

    def _failed(self, peer: str, item: Item, wrong: SipmeshError) -> None:
        if isinstance(wrong, FileError):
            self.not_stored(peer, item, wrong)
        else:
            self._reporter.fail(item.key, f"{item.kind} from {peer}: {wrong}")

    async def finished(self) -> None:
        """Wait until every large document is applied or refused."""
        await self._queue.finished()

    def not_stored(self, peer: str, item: Item, wrong: FileError) -> None:
        """Report that the disk did not store *item*, and try again later."""
        self._reporter.storage_failed(item.key, f"{item.kind} from {peer} is not stored: {wrong}")
        self._retry.failed(peer, item)

    def tick(self) -> None:
        """Store again what the disk had no room for."""
        self._user_storage.tick()
        self._retry.tick()

    def _accept(self, item: Item) -> None:
        if item.kind is ItemKind.TOPOLOGY:
            self._accept_topology(item.body)
        elif item.kind is ItemKind.LIST:
            self._crls.accept(item, self)
        elif item.kind is ItemKind.USERS:
            self._accept_users(item.body)
        elif item.kind is ItemKind.CERTIFICATE:
            self._accept_certificate(item)
        else:
            self._accept_revoked(item)

    async def _accept_large(self, item: Item) -> None:
        if item.kind is ItemKind.TOPOLOGY:
            await self._accept_large_topology(item.body)
        else:
            await self._accept_large_users(item.body)

    # A version of the topology

    @property
    def pending(self) -> Loaded | None:
        """A version that was accepted and is not in force yet; None if there is none."""
        return self._pending[1] if self._pending is not None else None

    def _accept_topology(self, jws: bytes) -> None:
        if jws == self._held.topology.body:
            return
        try:
            loaded = self._documents.newer(jws, self._server.view.loaded, now_utc())
        finally:
            self._follower.version_received()
        if not self._must_wait(jws, loaded):
            self._apply()

    async def _accept_large_topology(self, jws: bytes) -> None:
        """Put a version in force as `_accept_topology` does. A thread reads, prepares and stores the version."""
        if jws == self._held.topology.body:
            return
        in_force, revoked = self._server.view.loaded, self._held.revoked
        crls = {file: stamp(file) for file in in_force.lists}
        try:
            version = await off_loop(self._read_version, jws, in_force, now_utc())
        finally:
            self._follower.version_received()
        loaded = version.view.loaded
        await off_loop(self._crls.write_early, loaded)
        if self._must_wait(jws, loaded):
            return
        self._end_wait()
        await off_loop(self._documents.keep, jws, loaded)
        closed = self._loader.put_prepared(version, crls)
        if self._held.revoked is not None and self._held.revoked is not revoked:
            self._accept_revoked(self._held.revoked)  # pushed meanwhile, to the version before
        self._now_in_force(jws, loaded.number, closed)
        self._crls.write_early(loaded)  # those that came while the version was stored

    def _read_version(self, jws: bytes, in_force: Loaded, at: datetime) -> InForce:
        return self._loader.prepare(self._documents.newer(jws, in_force, at))

    def _must_wait(self, jws: bytes, loaded: Loaded) -> bool:
        """Let a version wait for the CRLs that it names; return False if they are here, or have not come in time."""
        self._pending = (jws, loaded)
        self._crls.write_early(loaded)
        if jws == self._complete or not self._awaits_crl(loaded):
            return False
        if self._wait is None:
            self._wait = self._loop.call_later(WAIT_FOR_LISTS_S, self._wait_is_over)
        return True

    def _end_wait(self) -> bool:
        """The waiting version is applied now; return whether it had to wait."""
        self._pending, self._complete = None, b""
        if self._wait is None:
            return False
        self._wait.cancel()
        self._wait = None
        return True

    def _awaits_crl(self, loaded: Loaded) -> bool:
        """Return whether a CRL that a new version names is missing here, and was announced."""
        offered = self._offered.held if self._offered is not None else {}
        return any(
            not (self._documents.folder / name).exists() and (ItemKind.LIST, name) in offered
            for name in loaded.list_names
        )

    def crl_came(self) -> None:
        """A CRL was written: the version that waits for it may be complete."""
        if self._pending is not None and not self._awaits_crl(self._pending[1]):
            self._apply()
        self._follower.items_changed()

    def _wait_is_over(self) -> None:
        jws = self._pending[0] if self._pending is not None else b""
        try:
            self._apply()
        except FileError as wrong:
            self.not_stored(self._server.view.name, Item(ItemKind.TOPOLOGY, jws), wrong)
        except OperatorError as wrong:
            self._reporter.fail((ItemKind.TOPOLOGY, ""), str(wrong))

    def _apply(self) -> None:
        """Store the version, then put it in force: after a crash in between, the server starts with the new version."""
        if self._pending is None:
            return
        jws, loaded = self._pending
        if len(jws) >= LARGE or self._queue.is_busy:
            self._complete = jws
            self._queue.put(self._server.view.name, Item(ItemKind.TOPOLOGY, jws))
            return
        if self._end_wait():
            loaded = self._documents.read(jws)  # read again: its CRLs have arrived meanwhile
        self._documents.keep(jws, loaded)
        self._now_in_force(jws, loaded.number, self._loader.put_in_force(loaded))

    def _now_in_force(self, jws: bytes, number: int, closed: list[str]) -> None:
        self._held.topology = Item(ItemKind.TOPOLOGY, jws, number=number)
        self._reporter.forget_errors()
        digest = self._held.topology.digest[:12]
        self._log.info("topology in force", version=number, digest=digest, closed=closed)
        self._follower.version_changed()

    # Other documents

    def _accept_users(self, jws: bytes) -> None:
        """Put a users' document in force, and store it: a full disk must not keep an old password in force."""
        self._user_storage.must_have_room()
        document = self._read_users(jws, self._server.view.loaded, now_utc())
        users = self._server.user_updates
        before = users.number
        closed = users.accept_document(document)
        if parts := self._complete_parts(jws, document, before):
            self._user_storage.store(parts, whole=not document.since)
            self._users_in_force(closed)

    async def _accept_large_users(self, jws: bytes) -> None:
        """Put a users' document in force as `_accept_users` does. A thread reads it, computes the change, and stores it."""
        self._user_storage.must_have_room()
        document = await off_loop(self._read_users, jws, self._server.view.loaded, now_utc())
        users = self._server.user_updates
        before = users.number
        closed = await users.accept_large_document(document)
        if parts := self._complete_parts(jws, document, before):
            await self._user_storage.store_large(parts, whole=not document.since)
            self._users_in_force(closed)

    def _read_users(self, jws: bytes, in_force: Loaded, at: datetime) -> UserDocument:
        document = UserDocument.decode(self._documents.newer_users(jws, in_force, at))
        if why := USERS_NUMBERS.why_beyond(document.number, at, self._server.user_updates.number):
            raise RemoteError(f"rejected: {why}", rule="rule R5", status=488)
        return document

    def _complete_parts(self, jws: bytes, document: UserDocument, before: int) -> list[bytes]:
        """Return all parts of a document that is in force now; empty if there are more parts to come."""
        self._parts = [*(self._parts if document.part > 1 else ()), jws]
        if self._server.user_updates.number == before:
            return []
        parts, self._parts = self._parts, []
        return parts

    def _users_in_force(self, closed: int) -> None:
        self._log.info("users in force", closed=closed)
        self._reporter.report()

    def _accept_certificate(self, item: Item) -> None:
        """Store our next certificate, or keep the certificate of an edge behind us for that edge."""
        view = self._server.view
        if item.name != view.name:
            if item.name not in edges_behind(view, view.pool.name):
                raise RemoteError(
                    f"a certificate of {item.name}, which is no edge behind us", rule="rule R6", status=488
                )
            self._held.certificates_of_edges[item.name] = item
            self._follower.items_changed()
            return
        payload = self._documents.signed_by_management(item.body, CERTIFICATE, view.loaded, now_utc())
        if self._applicant.accept_certificate(payload, view):
            self._log.info("certificate renewed", file=str(view.certificate))

    def _accept_revoked(self, item: Item) -> None:
        payload = self._documents.signed_by_management(item.body, REVOKED, self._server.view.loaded, now_utc())
        closed = self._server.revocation.revoke(named_in(payload))
        self._held.revoked = item
        self._log.info("pushed revocations in force", closed=closed)
        self._follower.items_changed()
