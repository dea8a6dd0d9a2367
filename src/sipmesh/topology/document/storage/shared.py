"""What the servers of a pool have to share and cannot: a file is shared on one machine only.

Two machines, each with a file of its own, answer 480 or 200 in turn for one user, and no other check sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sipmesh.trust.formatting import tell_list

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Pool, Topology

SQLITE: Final = "sqlite:"
ONE_MACHINE: Final = "if these servers run on one machine, give each the same `machine`"


def what_is_not_shared(topology: Topology, pool: Pool) -> Iterator[tuple[str, str]]:
    """Give a reason and a remedy for each store of a front-end *pool* that its servers cannot share."""
    machines = machines_of(pool)
    if len(machines) == 1:
        return
    several = f"its servers run on different machines ({tell_list(machines)})"
    remedy = f"{ONE_MACHINE}; otherwise define a pool for each machine"
    yield f"{several}, and its registrations are in a file: {topology.storage.bindings!r}", remedy
    if topology.messages.per_user and topology.storage.messages.startswith(SQLITE):
        remedy = f"{ONE_MACHINE}; otherwise name a PostgreSQL database in `storage.messages`, or write"
        yield f"{several}, and its stored messages are in a file", f"{remedy} `messages: {{per_user: 0}}`"


def machines_of(pool: Pool) -> list[str]:
    """Give the machines of the servers of *pool*, each once, in the order of the document."""
    return list(dict.fromkeys(server.runs_on for server in pool.servers))
