"""The tokens of SCIM clients: hashes in the topology. They allow SCIM alone, and no token of an operator allows it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sipmesh.server.console.access.secret_table import hash_of

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology


def client_of_token(topology: Topology, token: str) -> str:
    """Return the SCIM client whose token this is, as the audit log shows it, by the topology in force; "" if there is none."""
    found, digest = "", hash_of(token)
    for client in topology.scim.tokens if topology.scim is not None else ():
        if secrets.compare_digest(client.token_sha256, digest):
            found = f"{client.name} (SCIM)"
    return found
