"""Who may log in and where everybody is registered: a front end keeps both in its stores, any other role has neither."""

# ruff: noqa: ARG002 - where there is nobody and nothing, it does not matter what is asked for

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import LocalError
from sipmesh.storage.locations import NOTHING_YET, StoredRows, StoreHealth
from sipmesh.storage.replicated_users import ReplicatedUsers
from sipmesh.storage.sqlite_locations import SqliteLocations
from sipmesh.storage.users import Users
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.routing.authentication.verifier import Verifier
    from sipmesh.storage.binding_writer import Post
    from sipmesh.storage.locations import Locations, StoreEvents, Write
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

    identity = ""
    versions: Sequence[int] = (NOTHING_YET,)

    def __init__(self) -> None:
        self.health = StoreHealth()

    def __repr__(self) -> str:
        return "<NoLocations>"

    def slot(self, aor: str) -> int:
        """Give the only slot, in which there is nobody."""
        return 0

    def begin(self, server: str, incarnation: int, events: StoreEvents) -> int:
        """Drop nothing."""
        return 0

    def find(self, aor: str, found: Callable[[StoredRows | None], None]) -> None:
        """Give no row."""
        found(StoredRows((), NOTHING_YET))

    def write(self, write: Write) -> None:
        """Refuse; raises `LocalError`."""
        raise LocalError(f"a server without registrations was to store {write!r}")

    def close(self) -> None:
        """Let go of nothing."""


def open_users(view: ServerView) -> KnownUsers:
    """Open the users that the role of a server needs; raises `OperatorError` where the store cannot be used.

    Where the network is managed, users come in documents that management signs, and the database is out of reach.
    """
    if view.role is not Role.FRONT_END:
        return NoUsers()
    if any(pool.role is Role.MANAGEMENT for pool in view.pools.values()):
        return ReplicatedUsers(view.organisation, view.pool.name)
    return Users(view.loaded.users_url)


def open_locations(view: ServerView, post: Post) -> Locations:
    """Open the bindings that the role of a server needs; *post* reaches its loop. Raises `OperatorError` as `open_users`."""
    if view.role is not Role.FRONT_END:
        return NoLocations()
    file = view.loaded.bindings_file
    file.parent.mkdir(mode=0o700, exist_ok=True)
    return SqliteLocations(file, post)
