"""The signed documents that a managed server has: it reports them, and gives them to the edges behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.crl_store import CrlStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.server.agent.managed_server import ManagedServer
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.trust.trusted_peer import TrustedPeer


class StoredItems:
    """The items in force on one server.

    *issuing* is the present issuing CA, as announced by the server that gives us documents.
    """

    def __init__(self, server: ManagedServer, documents: DocumentStore) -> None:
        self._server, self._documents = server, documents
        self.crls = CrlStore(documents.folder)
        self.topology = Item(ItemKind.TOPOLOGY, documents.document(), number=server.view.loaded.number)
        self.revoked: Item | None = None
        self.certificates_of_edges: dict[str, Item] = {}
        self.issuing = ""

    def forget_earlier_leader(self, first: Item) -> None:
        """Stop passing on what an earlier leader of management has signed; *first* is the first item of the present leader.

        Edges would refuse it. The present leader sends its own certificates and revocations.
        """
        if self.revoked is not first:
            self.revoked = None
        kept = [item for item in self.certificates_of_edges.values() if item is first]
        self.certificates_of_edges = {item.name: item for item in kept}

    def state(self, peer: TrustedPeer | None = None) -> ReplicationState:
        """Return what we hold, for *peer*; None stands for the server that gives us documents."""
        versions = {item.key: (item.number, item.digest) for item in self.items(peer)}
        if peer is None:
            # What is stored, and not what is in force: management does not rely on more than survives a restart.
            stored, in_force = self._documents.users.number, self._server.user_updates.number
            versions[ItemKind.USERS, ""] = (min(stored, in_force), "")
        highest = max(self._documents.highest, self._documents.known_to_exist)
        return ReplicationState(versions, now_utc().isoformat(), highest, self.issuing)

    def items(self, peer: TrustedPeer | None) -> Iterable[Item]:
        """Return what an edge gets: its own certificate, and all documents except the users."""
        certificates = self.certificates_of_edges
        revoked = (self.revoked,) if self.revoked is not None else ()
        own = (certificates[peer.name],) if peer is not None and peer.name in certificates else ()
        return (*revoked, *self.crls.items(self._server.view.loaded), self.topology, *own)
