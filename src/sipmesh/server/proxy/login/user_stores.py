"""Users and registrations of one server: a front end has both stores, any other role has neither."""

# ruff: noqa: ARG002 - the empty stores do not use their arguments

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sipmesh.errors import LocalError, OperatorError
from sipmesh.routing.authentication.digest_sets import KIND_OF_NOBODY
from sipmesh.routing.events.watcher_rules import NO_RULES, WatcherRules
from sipmesh.storage.location_service.locations import NOTHING_YET, StoredRows, StoreHealth
from sipmesh.storage.location_service.sqlite_locations import SqliteLocations
from sipmesh.storage.location_service.valkey.settings import ValkeySettings
from sipmesh.storage.message_queue import MessageQueue
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.routing.authentication.digest_sets import Kind
    from sipmesh.routing.authentication.verifier import Verifier
    from sipmesh.routing.call_rules.call_rules import CallRules
    from sipmesh.server.in_force.home_pools import KnownUsers
    from sipmesh.storage.location_service.locations import Locations, StoreEvents, Write
    from sipmesh.storage.store_thread import Post
    from sipmesh.topology.document.storage.valkey_url import ValkeyUrl
    from sipmesh.topology.view import ServerView


class NoUsers:
    """The users of a server without logins."""

    def verifier(self, aor: str) -> Verifier | None:
        """Return None: no user can log in here."""
        return None

    def kind(self, aor: str) -> Kind | None:
        """Return None: no user is known."""
        return None

    def alike(self, hashed: bytes) -> Kind:
        """Return the default one: no user can log in here."""
        return KIND_OF_NOBODY

    @property
    def names_key(self) -> str:
        """There is none: no user is known."""
        return ""

    def is_withheld(self, aor: str) -> bool:
        """Return False: no user can log in here."""
        return False

    def home(self, aor: str) -> str | None:
        """Return None: no user is known."""
        return None

    def unknown(self, aors: frozenset[str]) -> frozenset[str]:
        """Return all of them: no user is known."""
        return aors

    def owner(self, alias: str) -> str:
        """Return "": no user is known."""
        return ""

    def aliases(self, aor: str) -> Sequence[str]:
        """Return nothing: no user is known."""
        return ()

    def bosses(self, delegate: str) -> frozenset[str]:
        """Return the empty set: no user is known."""
        return frozenset()

    def watcher_rules(self, aor: str) -> WatcherRules:
        """Return nothing: no user is known."""
        return NO_RULES

    def matching(self, word: str, domains: Iterable[str]) -> Iterator[str]:
        """Return nothing: no user is known."""
        return iter(())

    def call_rules(self, aor: str) -> CallRules | None:
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

    identity = ""
    knows_absence = True
    versions: Sequence[int] = (NOTHING_YET,)

    def __init__(self) -> None:
        self.health = StoreHealth()

    def slot(self, aor: str) -> int:
        """Give the only slot, which has no user."""
        return 0

    def is_behind(self) -> bool:
        """Return False: nothing changes."""
        return False

    def begin(self, server: str, incarnation: int, events: StoreEvents) -> None:
        """Do nothing."""

    def find(self, aor: str, found: Callable[[StoredRows | None], None]) -> None:
        """Give no row."""
        found(StoredRows((), NOTHING_YET))

    def write(self, write: Write) -> None:
        """Refuse; raises `LocalError`."""
        raise LocalError(f"a server without registrations was to store {write!r}")

    def use_servers(self, servers: frozenset[str]) -> None:
        """Do nothing: no user is registered."""

    def restored(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def open_users(view: ServerView) -> KnownUsers:
    """Open the users that the role of a server needs; raises `OperatorError` if the store cannot be used.

    In a managed network, the users come in documents that management signs; the database is not opened.
    """
    if view.role is not Role.FRONT_END:
        return NoUsers()
    if any(pool.role is Role.MANAGEMENT for pool in view.pools.values()):
        return ReplicatedUsers(view.organisation, view.pool.name)
    return Users(view.loaded.users_url)


def open_locations(view: ServerView, post: Post, pool_key: bytes, workers: int = 0) -> Locations:
    """Open the bindings that the role of a server needs; *post* reaches its loop. Raises `OperatorError` as `open_users`.

    *pool_key* is a key that all servers of the pool have. This process is one of a server with *workers*, 0 without.
    """
    if view.role is not Role.FRONT_END:
        return NoLocations()
    if view.valkey_url is not None:
        return open_valkey(view, view.valkey_url, pool_key, workers)
    file = view.bindings_file
    file.parent.mkdir(mode=0o700, exist_ok=True)
    return SqliteLocations(file, post)


def open_valkey(view: ServerView, url: ValkeyUrl, pool_key: bytes, workers: int) -> Locations:
    """Prepare the store of a pool across machines; it is connected later. Raises `OperatorError` if its files cannot be read."""
    if find_spec("hiredis") is None:
        raise OperatorError(f"{url} cannot be used without hiredis; install it: pip install 'hiredis>=3.2,<4'")
    from sipmesh.storage.location_service.valkey.valkey_locations import ValkeyLocations

    return ValkeyLocations(valkey_settings(view, url, pool_key, workers))


def valkey_settings(view: ServerView, url: ValkeyUrl, pool_key: bytes = b"", workers: int = 1) -> ValkeySettings:
    """Return how a server reaches the store of its pool; without the *pool_key* it can only log in there."""
    part, folder = view.bindings_storage.valkey, view.loaded.folder
    return ValkeySettings(
        url,
        view.organisation,
        view.pool.name,
        frozenset(view.pool.servers),
        pool_key,
        workers,
        part.user,
        folder,
        folder / part.password_file if part.password_file else None,
        tuple(folder / file for file in part.anchors),
        folder / part.certificate if part.certificate else None,
        folder / part.key if part.key else None,
        part.sentinel,
    )


def open_messages(view: ServerView, post: Post) -> MessageQueue:
    """Prepare the stored messages; *post* reaches the loop. Their database is opened with the first message."""
    return MessageQueue(view.loaded.messages_url, post)
