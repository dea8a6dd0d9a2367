"""Where users may be at home: the front-end pools of a topology."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.topology.document.report import did_you_mean
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology


def front_end_pools(topology: Topology) -> tuple[str, ...]:
    """The pools that users may be at home in, in the order of the document."""
    return tuple(pool.name for pool in topology.pools if pool.role is Role.FRONT_END)


def home_by_default(topology: Topology) -> str:
    """The home of users who were given none: the first front-end pool, and so the only one where there is one.

    A pool that is added behind it moves nobody. "" where the topology has no front end.
    """
    return next(iter(front_end_pools(topology)), "")


def chosen_home(topology: Topology, pool: str) -> str:
    """The name of the front-end pool that an operator means; raises `OperatorError` with the nearest for any other name."""
    known = front_end_pools(topology)
    name = pool.lower()
    if name in known:
        return name
    held = topology.pool(name)
    if held is not None:
        raise OperatorError(f"{name} is a pool of role {held.role}; a home pool is one of: {tell_list(known)}")
    remedy = did_you_mean(name, known, f"the front-end pools are {tell_list(known)}")
    raise OperatorError(f"{name!r} is not a pool of the topology; {remedy}")
