"""A network whose pools have registrations in Valkey; its servers do what a service does with them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Self

from sipmesh.demo.organisation import Organisation
from sipmesh.pki import files
from sipmesh.storage.location_service.valkey.valkey_locations import ValkeyLocations
from support.network import Network
from support.pool_user import add_pool_user
from support.running import LOOK_AGAIN_S, until
from support.valkey_server import ValkeyServer


@dataclass
class ValkeyNetwork(Network):
    """The network of organisations whose servers are asked twice a second what is due, or more often."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        ticking = asyncio.create_task(self._tick())
        self._stack.callback(ticking.cancel)
        return self

    async def _tick(self) -> None:
        """Do what a service does with its servers twice a second, more often."""
        while True:
            for node in list(self.nodes.values()):
                node.sweep.tick()
            await asyncio.sleep(LOOK_AGAIN_S)

    def store_of(self, name: str) -> ValkeyLocations:
        """What a server has of the store."""
        locations = self.nodes[name].locations
        assert isinstance(locations, ValkeyLocations)
        return locations

    async def connected(self, *names: str) -> None:
        """Wait until each server, or those of *names*, has all its rows in the store, and the others know it."""
        await until(lambda: all(self.store_of(name).is_settled for name in names or self.nodes))


def url_of(store: ValkeyServer) -> str:
    """The URL of a store of a test."""
    return f"valkey{'s' * store.tls}://127.0.0.1:{store.port}"


def give_store(organisation: Organisation, pool: str, store: ValkeyServer, password: str) -> None:
    """Give *pool* a store of its own: its own ACL user in *store*, with the name of the pool."""
    add_pool_user(store, str(organisation.document["organisation"]), pool, pool, password)
    (organisation.folder / "secrets").mkdir(exist_ok=True)
    files.write(organisation.folder / "secrets" / pool, password.encode(), files.SECRET)
    entry = pool_entry(organisation, pool)
    entry["storage"] = {"bindings": url_of(store), "valkey": {"user": pool, "password_file": f"secrets/{pool}"}}
    organisation.write()


def pool_entry(organisation: Organisation, pool: str) -> dict[str, Any]:
    """The entry of a pool in the document."""
    pools = organisation.document["pools"]
    assert isinstance(pools, list)
    entry: dict[str, Any] = next(entry for entry in pools if entry["name"] == pool)
    return entry
