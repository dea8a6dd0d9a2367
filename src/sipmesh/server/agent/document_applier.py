"""Applies what management sends to a managed server: each document is verified, stored, and put in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki.file_error import FileError
from sipmesh.server.agent.storage_retry import StorageRetry
from sipmesh.server.agent.user_storage import UserStorage
from sipmesh.server.clock import now_utc
from sipmesh.server.replication.cert_renewal import CERTIFICATE, Applicant
from sipmesh.server.replication.document_store import signed_by_management
from sipmesh.server.replication.revocation_push import REVOKED, named_in
from sipmesh.storage.user_document import UserDocument

if TYPE_CHECKING:
    import asyncio

    from sipmesh.server.agent.crl_receiver import CrlReceiver
    from sipmesh.server.agent.held_items import HeldItems
    from sipmesh.server.agent.managed_server import Loader, ManagedServer
    from sipmesh.server.agent.status_reporter import StatusReporter
    from sipmesh.server.log import Log
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.topology.document.load import Loaded

WAIT_FOR_LISTS_S = 5.0
"""Seconds that a new version waits for CRLs that it names and that are announced: without them peers would be refused."""


class Follower(Protocol):
    """What reacts to changes of the documents in force (`agent.agent.Agent`)."""

    def version_changed(self) -> None:
        """Another version is in force."""

    def items_changed(self) -> None:
        """The documents for the edges behind us have changed."""


class DocumentApplier:
    """Applies the items that one server receives; *follower* is called after a change."""

    def __init__(
        self,
        server: ManagedServer,
        documents: DocumentStore,
        held: HeldItems,
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
        self._retry = StorageRetry(self._attempt, loop)

    def __repr__(self) -> str:
        return (
            f"<DocumentApplier of {self._server.view.name}, {'a version waits' if self._pending else 'nothing waits'}>"
        )

    def close(self) -> None:
        """Stop reading CRLs, and apply no waiting version any more."""
        self._crls.close()
        if self._wait is not None:
            self._wait.cancel()

    def note_offer(self, state: ReplicationState) -> None:
        """Note what the server that gives us documents holds."""
        self._offered = state

    def receive(self, peer: str, item: Item) -> None:
        """Apply one item; a fault is raised as `RemoteError` for the sender, reported to management, and logged.

        An item that waits for room on the disk is not applied again: it is tried at its own pace.
        """
        if not self._retry.has(item):
            self._attempt(peer, item)

    def _attempt(self, peer: str, item: Item) -> None:
        try:
            self._accept(item)
        except RemoteError as wrong:
            self._reporter.fail(item.key, f"{item.kind} from {peer}: {wrong}")
            raise
        except FileError as wrong:
            self.not_stored(peer, item, wrong)
            raise RemoteError(f"{item.kind} not in force: {wrong.message}", rule="rule R12", status=488) from wrong
        except OperatorError as wrong:
            self._reporter.fail(item.key, f"{item.kind} from {peer}: {wrong}")
            raise RemoteError(f"{item.kind} not in force: {wrong.message}", rule="rule R12", status=488) from wrong
        self._retry.stored(item)
        self._reporter.mend(item.key)

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
            self._server.gatekeeper.knows_of(self._documents.known_to_exist)
        self._pending = (jws, loaded)
        self._crls.write_early(loaded)
        if self._awaits_crl(loaded):
            if self._wait is None:
                self._wait = self._loop.call_later(WAIT_FOR_LISTS_S, self._wait_is_over)
            return
        self._apply()

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
        (jws, loaded), self._pending = self._pending, None
        if self._wait is not None:
            self._wait.cancel()
            self._wait = None
            loaded = self._documents.read(jws)  # read again: its CRLs have arrived meanwhile
        self._documents.keep(jws, loaded)
        closed = self._loader.put_in_force(loaded)
        self._held.topology = Item(ItemKind.TOPOLOGY, jws, number=loaded.number)
        self._reporter.forget_errors()
        digest = self._held.topology.digest[:12]
        self._log.info("topology in force", version=loaded.number, digest=digest, closed=closed)
        self._follower.version_changed()

    # Other documents

    def _accept_users(self, jws: bytes) -> None:
        """Put a users' document in force, and store it: a full disk must not keep an old password in force."""
        self._user_storage.must_have_room()
        document = UserDocument.decode(self._documents.newer_users(jws, self._server.view.loaded, now_utc()))
        users = self._server.user_updates
        before = users.number
        closed = users.accept_document(document)
        self._parts = [*(self._parts if document.part > 1 else ()), jws]
        if users.number == before:
            return  # there are more parts to come
        parts, self._parts = self._parts, []
        self._user_storage.store(parts, anew=not document.since)
        self._log.info("users in force", closed=closed)
        self._reporter.report()

    def _accept_certificate(self, item: Item) -> None:
        """Store our next certificate, or keep the certificate of an edge behind us for that edge."""
        view = self._server.view
        if item.name != view.name:
            self._held.certificates_of_edges[item.name] = item
            self._follower.items_changed()
            return
        payload = signed_by_management(item.body, CERTIFICATE, view.loaded, now_utc())
        if self._applicant.accept_certificate(payload, view):
            self._log.info("certificate renewed", file=str(view.certificate))

    def _accept_revoked(self, item: Item) -> None:
        payload = signed_by_management(item.body, REVOKED, self._server.view.loaded, now_utc())
        closed = self._server.revocation.revoke(named_in(payload))
        self._held.revoked = item
        self._log.info("pushed revocations in force", closed=closed)
        self._follower.items_changed()
