"""For how long a pool keeps the message history of its users."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology


def history_days(topology: Topology, pool: str) -> int:
    """Return for how many days the front ends of *pool* keep messages: as the pool says, or else the topology; 0 for none."""
    found = topology.pool(pool)
    history = (found.history if found is not None else None) or topology.history
    return history.days if history is not None else 0
