"""The versions of the topology that are known to exist: those that management has signed, and those that peers claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.server.agent.managed_server import ManagedServer
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.transport.link.link import Link


class KnownVersions:
    """What one server knows of the versions that exist. A claim is not signed: it ends with the link on which it came.

    A later claim on the same link replaces it, also if it is lower. Claims are neither reported nor passed on.
    """

    def __init__(self, server: ManagedServer, documents: DocumentStore) -> None:
        self._server, self._documents = server, documents
        self._claims: dict[Link, int] = {}

    @property
    def newest(self) -> int:
        """The highest version that is signed or claimed; 0 if none is known."""
        return max(self._documents.known_to_exist, *self._claims.values(), 0)

    def claim(self, link: Link, number: int) -> bool:
        """Note that the peer of *link* claims that version *number* exists; returns whether no higher one was known."""
        before = self.newest
        self._claims[link] = number
        self.mention()
        return self.newest > before

    def forget(self, link: Link) -> None:
        """Forget the claim of a link that was closed."""
        if self._claims.pop(link, None) is not None:
            self.mention()

    def mention(self) -> None:
        """Let verdicts mention the newest version."""
        self._server.gatekeeper.knows_of(self.newest)
