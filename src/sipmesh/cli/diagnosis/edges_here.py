"""The edges that lead to partners and have their key on this machine: a command can connect as one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded


def edges_of(loaded: Loaded, named: str) -> tuple[list[str], list[str]]:
    """Return the edges with their key on this machine, and the others; raises `OperatorError` if none is here."""
    route = loaded.topology.pool(loaded.topology.federation.route)
    if route is None:
        raise OperatorError(
            "the topology has no edge pool for partners; to add a pool: sipmesh topology add pool --role edge"
        )
    servers = [server for server in route.servers if named in {"", server.name}]
    here = [server.name for server in servers if (loaded.folder / server.key_file).exists()]
    elsewhere = [server.name for server in servers if server.name not in here]
    if not here:
        names = ", ".join(elsewhere or [server.name for server in route.servers])
        raise OperatorError(
            f"this machine has the key of none of these edges: {names}; run this command on the machine of one"
        )
    return here, elsewhere
