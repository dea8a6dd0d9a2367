"""A pool of two front ends, each in a folder of its own as on a machine of its own, with one Valkey between them."""

from __future__ import annotations

import asyncio
import copy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sipmesh.demo.organisation import Organisation
from sipmesh.storage.keyfile import load_or_create
from sipmesh.storage.location_service.valkey.valkey_locations import ValkeyLocations
from support.network import FE1, FE2, POOL, Network
from support.running import LOOK_AGAIN_S, until
from support.valkey_server import ValkeyServer


@dataclass
class TwoHosts(Network):
    """The network of one organisation whose servers are on two hosts."""

    @classmethod
    def of_pool(cls, organisation: Organisation, folder: Path, store: ValkeyServer, **valkey: object) -> Self:
        """Give each front end a folder, whose topology names *store*; *valkey* are further settings of it."""
        document: dict[str, Any] = copy.deepcopy(organisation.document)
        scheme = "valkeys" if store.tls else "valkey"
        document["storage"] = {"bindings": f"{scheme}://127.0.0.1:{store.port}", "valkey": valkey}
        document["messages"] = {"per_user": 0}
        state = organisation.folder / "state"
        state.mkdir(exist_ok=True)
        load_or_create(state / f"{POOL}.dialog-key")  # each host gets a copy
        hosts = [_host(organisation, folder / name, document) for name in ("h1", "h2")]
        return cls(tuple(hosts), starts=(FE1, FE2))

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        ticking = asyncio.create_task(self._tick())
        self._stack.callback(ticking.cancel)
        return self

    async def _tick(self) -> None:
        """Do what a service does with its servers twice a second, more often."""
        while True:
            for node in list(self.nodes.values()):
                node.dispatch.tick()
            await asyncio.sleep(LOOK_AGAIN_S)

    def of(self, name: str) -> Organisation:
        """The folder of a server."""
        return self.organisations[1 if name == FE2 else 0]

    def store_of(self, name: str) -> ValkeyLocations:
        """What a server has of the store."""
        locations = self.nodes[name].locations
        assert isinstance(locations, ValkeyLocations)
        return locations

    async def connected(self) -> None:
        """Wait until each server has all its rows in the store, and the others know it."""
        await until(lambda: all(self.store_of(name).is_settled for name in self.nodes))


def _host(organisation: Organisation, folder: Path, document: dict[str, Any]) -> Organisation:
    shutil.copytree(organisation.folder, folder)
    host = Organisation(
        folder, organisation.domain, organisation.host, organisation.ports, document, organisation.issued_at
    )
    host.write()
    return host
