"""The interface of the server that the agent works for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipmesh.server.process.file_stamps import NO_STAMPS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.process.file_stamps import Stamps
    from sipmesh.server.running.worker_place import WorkerPlace
    from sipmesh.storage.users.user_document import UserDocument
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView
    from sipmesh.trust.x509.certificate import CertificateId


class VersionObserver(Protocol):
    """Mentions newer versions in verdicts (`proxy.gatekeeper.Gatekeeper`)."""

    def knows_of(self, newest: int) -> None:
        """Version *newest* is the highest that is known to exist; it may be lower than before."""


class Revoker(Protocol):
    """Puts revocations in force (`revocation_updates.RevocationUpdates`)."""

    def revoke(self, named: Iterable[CertificateId]) -> list[str]:
        """Refuse these certificates from now on; returns the ids of the links that were closed."""


class UserUpdater(Protocol):
    """Replaces the users that may log in (`user_updates.UserUpdates`)."""

    @property
    def number(self) -> int:
        """The number of the users that are in force."""

    def accept_document(self, document: UserDocument) -> int:
        """Apply a users' document; returns how many links that closed. Raises `OperatorError`."""

    async def accept_large_document(self, document: UserDocument) -> int:
        """Apply a document as `accept_document` does, with the work in a thread."""


class ListeningPorts(Protocol):
    """The ports of the server (`listening.Listening`)."""

    @property
    def faults(self) -> Sequence[str]:
        """Why the server does not listen on its published addresses; empty if it does."""


class ManagedServer(Protocol):
    """The parts of a running server that an agent works with (`running_server.RunningServer`)."""

    @property
    def view(self) -> ServerView:
        """The topology in force."""

    @property
    def place(self) -> WorkerPlace:
        """Which process of its server it is."""

    @property
    def is_settled(self) -> bool:
        """Whether everything that is in force here is so at all processes of this server."""

    @property
    def gatekeeper(self) -> VersionObserver:
        """Where newer versions are reported."""

    @property
    def revocation(self) -> Revoker:
        """Puts revocations in force."""

    @property
    def user_updates(self) -> UserUpdater:
        """Replaces the users that may log in."""

    @property
    def listening(self) -> ListeningPorts:
        """The ports."""


class Loader(Protocol):
    """What puts files and versions in force (`refresh.reloader.Reloader`)."""

    def put_in_force(self, loaded: Loaded) -> list[str]:
        """Put a version in force; returns the ids of the links that it closes. Raises `OperatorError` if that is impossible."""

    def prepare(self, loaded: Loaded) -> InForce:
        """Compute what `put_prepared` needs; a thread may do so. Raises `OperatorError`."""

    def put_prepared(self, version: InForce, since: Stamps = NO_STAMPS) -> list[str]:
        """Put a prepared version in force. *since* are the stamps of CRL files from before it was loaded."""

    def look(self, at: Collection[Path] | None = None) -> object:
        """Read changed files and put them in force; *at* are the files to look at, None means all."""
