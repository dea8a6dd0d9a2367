"""What the agent asks of the server that it is part of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sipmesh.server.listening import Listening
    from sipmesh.server.proxy.gatekeeper import Gatekeeper
    from sipmesh.server.revocation_updates import RevocationUpdates
    from sipmesh.server.user_updates import UserUpdates
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView


class ManagedServer(Protocol):
    """The parts of a running server that an agent works with (`running_server.RunningServer`)."""

    @property
    def view(self) -> ServerView:
        """The topology in force."""

    @property
    def gatekeeper(self) -> Gatekeeper:
        """Judges links, and says in verdicts that a newer version exists."""

    @property
    def revocation(self) -> RevocationUpdates:
        """Puts revocations in force."""

    @property
    def user_updates(self) -> UserUpdates:
        """Takes over who may log in."""

    @property
    def listening(self) -> Listening:
        """The ports, and why the server does not listen as published."""


class Loader(Protocol):
    """What puts files and versions in force (`refresh.reloader.Reloader`)."""

    def put_in_force(self, loaded: Loaded) -> list[str]:
        """Put a version in force; returns the ids of the links that it closes. Raises `OperatorError` where that cannot be."""

    def look(self, at: Collection[Path] | None = None) -> object:
        """Read files that were written."""
