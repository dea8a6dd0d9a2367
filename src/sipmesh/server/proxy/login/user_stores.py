"""Who may log in and where everybody is registered: a front end keeps both in its stores, any other role has neither."""

# ruff: noqa: ARG002 - where there is nobody and nothing, it does not matter what is asked for

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import LocalError
from sipmesh.storage.bindings import BindingStore
from sipmesh.storage.replicated_users import ReplicatedUsers
from sipmesh.storage.users import Users
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.routing.authentication.verifier import Verifier
    from sipmesh.routing.registrar.binding import Binding, Changes
    from sipmesh.storage.locations import Locations
    from sipmesh.topology.view import ServerView


class KnownUsers(Protocol):
    """What a running server asks of the users; `Users` says what each method gives."""

    def verifier(self, aor: str) -> Verifier | None:
        """Give what proves *aor*; None for an unknown user."""

    def home(self, aor: str) -> str | None:
        """Give the pool where *aor* is at home, "" where none was named for it; None for an unknown user."""

    @property
    def ready(self) -> bool:
        """Whether it is known who the users are: before that nobody can be told from a stranger."""

    def refresh(self) -> frozenset[str]:
        """Take over what others have changed; returns whose rows that were."""

    def close(self) -> None:
        """Let go of the store."""


class NoUsers:
    """The users of a server that logs nobody in."""

    def __repr__(self) -> str:
        return "<NoUsers>"

    def verifier(self, aor: str) -> Verifier | None:
        """Give nothing: whoever it is, nothing proves it here."""
        return None

    def home(self, aor: str) -> str | None:
        """Give nothing: nobody is known."""
        return None

    @property
    def ready(self) -> bool:
        """There is nothing to wait for."""
        return True

    def refresh(self) -> frozenset[str]:
        """Find that nothing has changed."""
        return frozenset()

    def close(self) -> None:
        """Let go of nothing."""


class NoLocations:
    """The bindings of a server that registers nobody: there are none, and to make one is a bug."""

    def __repr__(self) -> str:
        return "<NoLocations>"

    def begin(self, server: str, incarnation: int) -> int:
        """Drop nothing."""
        return 0

    def of(self, aor: str, at: float) -> list[Binding]:
        """Give no row."""
        return []

    @property
    def identity(self) -> str:
        """There is no store."""
        return ""

    def on_server(self, server: str, at: float, most: int, after: tuple[str, str] = ("", "")) -> list[Binding]:
        """Give no row."""
        return []

    def count(self, server: str) -> int:
        """Count none."""
        return 0

    def apply(self, changes: Changes) -> None:
        """Refuse; raises `LocalError`."""
        raise LocalError(f"a server without registrations was to store {changes!r}")

    def drop(self, server: str, incarnation: int, flow: int) -> list[str]:
        """Find nobody on the flow."""
        return []

    def forget(self, stale: Iterable[Binding]) -> None:
        """Find none of the rows."""

    def expire(self, at: float) -> int:
        """Drop nothing."""
        return 0

    def close(self) -> None:
        """Let go of nothing."""


def open_stores(view: ServerView) -> tuple[KnownUsers, Locations]:
    """Open what the role of a server needs; raises `OperatorError` where a store cannot be used.

    Where the network is managed, users come in documents that management signs, and the database is out of reach.
    """
    if view.role is not Role.FRONT_END:
        return NoUsers(), NoLocations()
    file = view.loaded.bindings_file
    file.parent.mkdir(mode=0o700, exist_ok=True)
    managed = any(pool.role is Role.MANAGEMENT for pool in view.pools.values())
    users = ReplicatedUsers(view.organisation, view.pool.name) if managed else Users(view.loaded.users_url)
    return users, BindingStore(file)
