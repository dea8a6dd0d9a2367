"""What works with a running server from outside: its control plane, what fetches its CRLs, and its other processes.

Each of them is built from the parts of the server, and so after it. The server has one `Outside` from its start. Until
something is put there, nobody is there: no part asks whether there is somebody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipmesh.server.proxy.control_plane import ControlPlane, NoControlPlane

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from sipmesh.server.proxy.siblings.channel import WorkerChannel
    from sipmesh.storage.users.user_document import UserDocument
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.expiry.fetch_status import FetchStatus
    from sipmesh.trust.x509.certificate import CertificateId


class RevocationSources(Protocol):
    """What fetches the CRLs and OCSP responses that a topology names by URL."""

    def follow(self, loaded: Loaded) -> None:
        """Fetch the sources of *loaded*, which is about to be in force, and no others."""

    def supplies(self, at: datetime) -> tuple[FetchStatus, ...]:
        """Return the state of every source at time *at*."""

    def fetch_again(self, owner: str) -> None:
        """Fetch the CRLs of an authority again: a peer was refused for want of them; *owner* is the partner, "" for our own."""


class Orders(Protocol):
    """Who takes the commands of the supervisor, and the replies to ours."""

    def take(self, channel: WorkerChannel, kind: int, number: int, payload: bytes) -> None:
        """A command or a reply has come."""

    def ended(self, process: int) -> None:
        """A process has ended."""


class Follower(Protocol):
    """Who puts the same in force at the other processes of this server."""

    @property
    def is_settled(self) -> bool:
        """Whether every other process has in force what this one has."""

    def version_changed(self) -> None:
        """Another version of the topology is in force, with its certificates."""

    def crls_changed(self, files: Collection[Path]) -> None:
        """CRLs in *files* are in force."""

    def revoked(self, named: Collection[CertificateId]) -> None:
        """Certificates are refused from now on."""

    def users_changed(self, document: UserDocument) -> None:
        """A document of users is in force."""


class NoSources:
    """Fetches nothing."""

    def follow(self, loaded: Loaded) -> None:
        """Do nothing."""

    def supplies(self, at: datetime) -> tuple[FetchStatus, ...]:  # noqa: ARG002 - it has none at any time
        """Return nothing."""
        return ()

    def fetch_again(self, owner: str) -> None:
        """Do nothing."""


class NoOrders:
    """Takes no command."""

    def take(self, channel: WorkerChannel, kind: int, number: int, payload: bytes) -> None:
        """Do nothing."""

    def ended(self, process: int) -> None:
        """Do nothing."""


class NoFollower:
    """The other processes of a server that has none, and of a worker, which only follows."""

    @property
    def is_settled(self) -> bool:
        """True: there is no other process."""
        return True

    def version_changed(self) -> None:
        """Do nothing."""

    def crls_changed(self, files: Collection[Path]) -> None:
        """Do nothing."""

    def revoked(self, named: Collection[CertificateId]) -> None:
        """Do nothing."""

    def users_changed(self, document: UserDocument) -> None:
        """Do nothing."""


class Outside:
    """Who works with one server from outside. Whoever builds them puts them here, before the server starts."""

    def __init__(self) -> None:
        self.control_plane: ControlPlane = NoControlPlane()
        self.sources: RevocationSources = NoSources()
        self.follower: Follower = NoFollower()
        self.orders: Orders = NoOrders()

    def __repr__(self) -> str:
        return f"<Outside {self.control_plane!r}, {self.sources!r}, {self.follower!r}, {self.orders!r}>"
