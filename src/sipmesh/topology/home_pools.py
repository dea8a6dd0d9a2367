"""The home pools of users: the front-end pools of a topology."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.topology.document.report import did_you_mean
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.role import ClientAuth, Role

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology


def front_end_pools(topology: Topology) -> tuple[str, ...]:
    """Give the front-end pools, in the order of the document."""
    return tuple(pool.name for pool in topology.pools if pool.role is Role.FRONT_END)


def carrying_pools(topology: Topology) -> tuple[str, ...]:
    """Give the pools that carry calls, which are all but those of management, in the order of the document."""
    return tuple(pool.name for pool in topology.pools if pool.role is not Role.MANAGEMENT)


def home_by_default(topology: Topology) -> str:
    """Give the home pool of users without an explicit home pool: the first front-end pool.

    A pool that is added after it changes no user's home pool. "" if the topology has no front end.
    """
    return next(iter(front_end_pools(topology)), "")


def servers_with_certificates(topology: Topology, home: str) -> tuple[str, ...]:
    """Give the servers of a home pool at which the certificate of a device proves its user, without a password."""
    servers = (server for pool in topology.pools if pool.name == home for server in pool.servers)
    return tuple(server.name for server in servers if server.client_auth is not ClientAuth.PASSWORD)


def backup_pools(topology: Topology) -> dict[str, str]:
    """Give the backup pool of each front-end pool that has one."""
    return {pool.name: pool.backup_pool for pool in topology.pools if pool.backup_pool is not None}


def chosen_home(topology: Topology, pool: str) -> str:
    """Give the front-end pool that an operator has named; raises `OperatorError` with the nearest name for any other."""
    known = front_end_pools(topology)
    name = pool.lower()
    if name in known:
        return name
    other = topology.pool(name)
    if other is not None:
        raise OperatorError(f"{name} is a pool of role {other.role}; a home pool is one of: {tell_list(known)}")
    remedy = did_you_mean(name, known, f"the front-end pools are {tell_list(known)}")
    raise OperatorError(f"{name!r} is not a pool of the topology; {remedy}")


def home_of_new_user(topology: Topology, pool: str, user: str) -> str | None:
    """Give the home pool of a new *user*, None for the default; *pool* is what the operator has named, "" for nothing.

    Raises `OperatorError` for an unknown pool, and if a choice of pools needs a name.
    """
    if pool:
        return chosen_home(topology, pool)
    known = front_end_pools(topology)
    if len(known) > 1:
        why = f"{user} has a choice of {len(known)} home pools; choose one of: {', '.join(known)}"
        raise OperatorError(why, parameter="pool")
    return None
