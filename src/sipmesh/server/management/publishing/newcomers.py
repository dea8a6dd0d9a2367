"""Servers and partners that a publication adds: until they connect for the first time, nothing of them can have been broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.management.publishing.link_checks import is_here
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.parts.federation import Partner


def new_servers(before: Loaded, after: Loaded) -> frozenset[str]:
    """Give the servers that *after* adds, of every role."""
    return _servers(after) - _servers(before)


def _servers(loaded: Loaded) -> frozenset[str]:
    return frozenset(loaded.topology.server_names)


def new_partners(before: Loaded, after: Loaded) -> frozenset[str]:
    """Give the partners that *after* adds, by the name that a check has: none of their domains was a partner's before."""
    known = {domain for partner in before.topology.federation.partners for domain in partner.domains}
    return frozenset(_name(one) for one in after.topology.federation.partners if known.isdisjoint(one.domains))


def _name(partner: Partner) -> str:
    return partner.edge_address[0] if partner.edge_address is not None else partner.domains[0]


def next_steps(loaded: Loaded, servers: Collection[str], partners: Collection[str]) -> Sequence[str]:
    """Say how each of the *servers* is started, and how each of the *partners* is probed."""
    steps = [f"{name} is not started yet: {_start_of(loaded, name)}" for name in sorted(servers)]
    return [*steps, *(f"{name} does not answer yet: sipmesh partner probe {name}" for name in sorted(partners))]


def _start_of(loaded: Loaded, name: str) -> str:
    pool = loaded.topology.pool_of(name)
    if not is_here(loaded, name):
        return f"on its machine: sipmesh join request {name}"
    if pool is not None and pool.role is Role.APPLICATION:
        return "start its program with its key and certificate"
    return f"sipmesh serve {name}"
