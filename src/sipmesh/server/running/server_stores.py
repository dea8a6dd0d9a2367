"""What outlives a restart of one server: the keys of its tokens, and the users and bindings if its role has them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sipmesh.routing.identity.tokens import Tokens
from sipmesh.routing.registrar.gruu import Gruus
from sipmesh.server.proxy.login.user_stores import open_locations, open_messages, open_users
from sipmesh.storage.keyfile import load_or_create, pool_key_file
from sipmesh.storage.message_cipher import HistoryCipher
from sipmesh.topology.view import view as view_of

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from sipmesh.server.running.worker_place import WorkerPlace
    from sipmesh.storage.location_service.locations import Locations
    from sipmesh.topology.document.parts.stores import Storage
    from sipmesh.topology.view import ServerView


class ServerStores:
    """The stores of the server of *view*, with its key files in the folder *state*.

    *locations* replaces the store of bindings that the topology names. *storage* is that of the version with which the server has
    started, if this process has started later. Servers of a pool that share a folder share the key of dialog tokens, so that a
    call can continue through another server.
    """

    def __init__(
        self,
        view: ServerView,
        state: Path,
        place: WorkerPlace,
        loop: asyncio.AbstractEventLoop,
        locations: Locations | None = None,
        storage: Storage | None = None,
    ) -> None:
        view = view if storage is None else view_with(storage, view)
        self.storage = storage_of(view)
        key, pool_key = (load_or_create(state / name) for name in key_files(view))
        self._pool = view.pool.name
        self.tokens = Tokens(key, place.incarnation, pool_key)
        self.gruus = Gruus(pool_key, view.pool.name)
        self.history_cipher = HistoryCipher(view.pool.name, pool_key)
        self.users = open_users(view)
        self.messages = open_messages(view, loop.call_soon_threadsafe)
        try:
            self.locations = locations or open_locations(view, loop.call_soon_threadsafe, pool_key, place.count)
        except BaseException:
            self.users.close()
            raise

    def know_servers(self, view: ServerView) -> None:
        """Know the servers of our pool in another version. What was opened stays so until the next start."""
        if view.pool.name == self._pool:
            self.locations.use_servers(frozenset(view.pool.servers))

    def close(self) -> None:
        """Close the bindings and the users; the messages are closed by who delivers them."""
        self.locations.close()
        self.users.close()


def storage_of(view: ServerView) -> Storage:
    """Return all that a server stores somewhere, with the store of its own pool in place of the general one."""
    own = view.bindings_storage
    return view.loaded.topology.storage.model_copy(update={"bindings": own.bindings, "valkey": own.valkey})


def view_with(storage: Storage, view: ServerView) -> ServerView:
    """Return *view* with another storage, for the pool of the server too."""
    topology = view.loaded.topology
    pools = tuple(pool.model_copy(update={"storage": None}) for pool in topology.pools)
    changed = topology.model_copy(update={"storage": storage, "pools": pools})
    return view_of(replace(view.loaded, topology=changed), view.name)


def key_files(view: ServerView) -> tuple[str, str]:
    """Return the key files of tokens: for the flows of this server, and for the dialogs of its pool."""
    return f"{view.name}.token-key", pool_key_file(view.pool.name)
