"""What the servers of a pool have to share and cannot: a file is shared on one machine only.

Two machines, each with a file of its own, answer 480 or 200 in turn for one user, and no other check sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sipmesh.topology.document.history_days import history_days
from sipmesh.topology.document.names import is_url
from sipmesh.topology.document.storage.valkey_url import valkey_url
from sipmesh.trust.formatting import tell_list

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.pool import Pool

SQLITE: Final = "sqlite:"
STORE: Final = "otherwise write `storage: {bindings: valkeys://HOST:PORT}` with a Valkey that all of them reach"
ONE_MACHINE: Final = (
    "if these servers run on one machine, give each the same `machine`: sipmesh topology change SERVER machine=NAME, and "
    "--machine NAME for a server that is added"
)


def what_is_not_shared(topology: Topology, pool: Pool) -> Iterator[tuple[str, str]]:
    """Give a reason and a remedy for each store of a front-end *pool* that its servers cannot share."""
    machines = machines_of(pool)
    if len(machines) == 1:
        return
    several = f"its servers run on different machines ({tell_list(machines)})"
    bindings = topology.storage_of(pool).bindings
    if not is_url(bindings):
        yield f"{several}, and its registrations are in a file: {bindings!r}", f"{ONE_MACHINE}; {STORE}"
    elif valkey_url(bindings).is_on_this_machine:
        yield f"{several}, and each has its own {bindings}", f"{ONE_MACHINE}; {STORE}"
    if not topology.storage.messages.startswith(SQLITE):
        return
    if history_days(topology, pool.name):
        remedy = f"{ONE_MACHINE}; otherwise name a PostgreSQL database in `storage.messages`"
        yield f"{several}, and its message history is in a file", remedy
    if topology.messages.per_user:
        remedy = f"{ONE_MACHINE}; otherwise name a PostgreSQL database in `storage.messages`, or write"
        yield f"{several}, and its stored messages are in a file", f"{remedy} `messages: {{per_user: 0}}`"


def machines_of(pool: Pool) -> list[str]:
    """Give the machines of the servers of *pool*, each once, in the order of the document."""
    return list(dict.fromkeys(server.runs_on for server in pool.servers))
