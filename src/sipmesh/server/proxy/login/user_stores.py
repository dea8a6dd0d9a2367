"""Users and registrations of one server: a front end has both stores, any other role has neither."""

# ruff: noqa: ARG002 - the empty stores do not use their arguments

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
    """What a running server needs to know of the users; see `storage.users.Users` for each method."""

    def verifier(self, aor: str) -> Verifier | None:
        """Return the password verifier of *aor*; None for an unknown user."""

    def is_withheld(self, aor: str) -> bool:
        """Return whether *aor* may not log in yet: what is known of this user may be out of date."""

    def home(self, aor: str) -> str | None:
        """Return the home pool of *aor*, "" if none is set; None for an unknown user."""

    @property
    def ready(self) -> bool:
        """Whether the users are known; before that, an unknown address may belong to a user."""

    def refresh(self) -> frozenset[str]:
        """Read what others have changed; returns the addresses of record that have changed."""

    def close(self) -> None:
        """Close the store."""


class NoUsers:
    """The users of a server on which nobody logs in."""

    def __repr__(self) -> str:
        return "<NoUsers>"

    def verifier(self, aor: str) -> Verifier | None:
        """Return None: nobody can log in here."""
        return None

    def is_withheld(self, aor: str) -> bool:
        """Return False: nobody can log in here."""
        return False

    def home(self, aor: str) -> str | None:
        """Return None: no user is known."""
        return None

    @property
    def ready(self) -> bool:
        """True: there are no users to wait for."""
        return True

    def refresh(self) -> frozenset[str]:
        """Return the empty set: nothing changes."""
        return frozenset()

    def close(self) -> None:
        """Do nothing."""


class NoLocations:
    """The bindings of a server without registrations: always empty; storing one raises LocalError."""

    def __repr__(self) -> str:
        return "<NoLocations>"

    def begin(self, server: str, incarnation: int) -> int:
        """Return 0: there is nothing to drop."""
        return 0

    def of(self, aor: str, at: float) -> list[Binding]:
        """Return no binding."""
        return []

    @property
    def identity(self) -> str:
        """Empty: there is no store."""
        return ""

    def on_server(self, server: str, at: float, most: int, after: tuple[str, str] = ("", "")) -> list[Binding]:
        """Return no binding."""
        return []

    def count(self, server: str) -> int:
        """Return 0."""
        return 0

    def apply(self, changes: Changes) -> None:
        """Raise `LocalError`: this server stores no bindings."""
        raise LocalError(f"a server without registrations was to store {changes!r}")

    def drop(self, server: str, incarnation: int, flow: int) -> list[str]:
        """Return nobody."""
        return []

    def forget(self, stale: Iterable[Binding]) -> None:
        """Do nothing."""

    def expire(self, at: float) -> int:
        """Return 0: there is nothing to drop."""
        return 0

    def close(self) -> None:
        """Do nothing."""


def open_stores(view: ServerView) -> tuple[KnownUsers, Locations]:
    """Open the stores that the role of a server needs; raises `OperatorError` if a store cannot be used.

    In a managed network, the users come in documents that management signs; the database is not opened.
    """
    if view.role is not Role.FRONT_END:
        return NoUsers(), NoLocations()
    file = view.loaded.bindings_file
    file.parent.mkdir(mode=0o700, exist_ok=True)
    managed = any(pool.role is Role.MANAGEMENT for pool in view.pools.values())
    users = ReplicatedUsers(view.organisation, view.pool.name) if managed else Users(view.loaded.users_url)
    return users, BindingStore(file)
