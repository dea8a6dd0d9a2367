"""What a managed server is given: each document is verified, kept, and put in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.errors import OperatorError, RemoteError
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
"""A new version waits this long for revocation lists that it names and that are on their way: without them it would refuse."""


class Follower(Protocol):
    """What goes by the documents in force (`agent.agent.Agent`)."""

    def version_changed(self) -> None:
        """Another version is in force."""

    def items_changed(self) -> None:
        """What is given to the edges behind us has changed."""


class DocumentApplier:
    """Takes the items that are given to one server; *follower* hears of what is in force then."""

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
        self._patience: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []  # of a users' document that is on its way

    def __repr__(self) -> str:
        return (
            f"<DocumentApplier of {self._server.view.name}, {'a version waits' if self._pending else 'nothing waits'}>"
        )

    def close(self) -> None:
        """Put nothing in force any more."""
        self._crls.close()
        if self._patience is not None:
            self._patience.cancel()

    def note_offer(self, state: ReplicationState) -> None:
        """Note what the server that gives to us holds."""
        self._offered = state

    def receive(self, peer: str, item: Item) -> None:
        """Take one item; a fault is told to whoever gave it, to management, and to our log. Raises `RemoteError`."""
        try:
            self._accept(item)
        except RemoteError as wrong:
            self._reporter.fail(item.key, f"{item.kind} from {peer}: {wrong}")
            raise
        except OperatorError as wrong:
            self._reporter.fail(item.key, f"{item.kind} from {peer}: {wrong}")
            raise RemoteError(f"{item.kind} not in force: {wrong.message}", rule="rule R12", status=488) from wrong
        self._reporter.mend(item.key)

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
        """A version that was taken and is not in force yet."""
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
            if self._patience is None:
                self._patience = self._loop.call_later(WAIT_FOR_LISTS_S, self._out_of_patience)
            return
        self._apply()

    def _awaits_crl(self, loaded: Loaded) -> bool:
        """Whether a list that a new version names is not here, and was said to come."""
        offered = self._offered.held if self._offered is not None else {}
        return any(
            not (self._documents.folder / name).exists() and (ItemKind.LIST, name) in offered
            for name in loaded.list_names
        )

    def crl_came(self) -> None:
        """A list has been written: the version that waits for it may be complete."""
        if self._pending is not None and not self._awaits_crl(self._pending[1]):
            self._apply()
        self._follower.items_changed()

    def _out_of_patience(self) -> None:
        try:
            self._apply()
        except OperatorError as wrong:
            self._reporter.fail((ItemKind.TOPOLOGY, ""), str(wrong))

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
        closed = self._loader.put_in_force(loaded)
        self._held.topology = Item(ItemKind.TOPOLOGY, jws, number=loaded.number)
        self._reporter.forget_errors()
        digest = self._held.topology.digest[:12]
        self._log.info("topology in force", version=loaded.number, digest=digest, closed=closed)
        self._follower.version_changed()

    # Other documents

    def _accept_users(self, jws: bytes) -> None:
        payload = self._documents.newer_users(jws, self._server.view.loaded, now_utc())
        users = self._server.user_updates
        document, before = UserDocument.decode(payload), users.number
        closed = users.accept_document(payload)
        self._parts = [*(self._parts if document.part > 1 else ()), jws]
        if users.number == before:
            return  # there are more parts to come
        self._documents.keep_users(self._parts, anew=not document.since)
        self._parts = []
        self._log.info("users in force", closed=closed)
        self._reporter.report()

    def _accept_certificate(self, item: Item) -> None:
        """Put our next certificate in place, or keep that of an edge for it."""
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
