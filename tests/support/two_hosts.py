"""A pool of two front ends, each in a folder of its own as on a machine of its own, with one Valkey between them."""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sipmesh.demo.organisation import Organisation
from sipmesh.pki import files
from support.network import FE1, FE2, POOL
from support.valkey_network import ValkeyNetwork, url_of
from support.valkey_server import ValkeyServer

POOL_KEY = bytes(range(32))


@dataclass
class TwoHosts(ValkeyNetwork):
    """The network of one organisation whose servers are on two hosts."""

    @classmethod
    def of_pool(cls, organisation: Organisation, folder: Path, store: ValkeyServer, **valkey: object) -> Self:
        """Give each front end a folder, whose topology names *store*; *valkey* are further settings of it."""
        document: dict[str, Any] = copy.deepcopy(organisation.document)
        document["storage"] = {"bindings": url_of(store), "valkey": valkey}
        document["messages"] = {"per_user": 0}
        state = organisation.folder / "state"
        state.mkdir(exist_ok=True)
        files.write(state / f"{POOL}.dialog-key", POOL_KEY, files.SECRET)  # each host gets a copy
        hosts = [_host(organisation, folder / name, document) for name in ("h1", "h2")]
        return cls(tuple(hosts), starts=(FE1, FE2))

    def of(self, name: str) -> Organisation:
        """The folder of a server."""
        return self.organisations[1 if name == FE2 else 0]


def _host(organisation: Organisation, folder: Path, document: dict[str, Any]) -> Organisation:
    shutil.copytree(organisation.folder, folder)
    host = Organisation(
        folder, organisation.domain, organisation.host, organisation.ports, document, organisation.issued_at
    )
    host.write()
    return host
