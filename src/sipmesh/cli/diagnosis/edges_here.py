"""The edges and gateways that lead to partners and have their key on this machine: a command can connect as one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.hops import route_to

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded


def edges_of(loaded: Loaded, named: str, partner: str = "") -> tuple[list[str], list[str]]:
    """Return the servers with links to *partner* whose key is on this machine, and the others: edges, or the gateway of a trunk.

    Raises `OperatorError` if none is here.
    """
    route = route_to(loaded.topology, partner)
    servers = [server for server in route.servers if named in {"", server.name}]
    here = [server.name for server in servers if (loaded.folder / server.key_file).exists()]
    elsewhere = [server.name for server in servers if server.name not in here]
    if not here:
        names = ", ".join(elsewhere or [server.name for server in route.servers])
        raise OperatorError(
            f"this machine has the key of none of these servers: {names}; run this command on the machine of one"
        )
    return here, elsewhere
