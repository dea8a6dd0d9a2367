"""The full address of a user whom an operator has named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology


def full_address(user: str, topology: Topology) -> str:
    """Give the address with its domain; raises `OperatorError` for a domain that the topology does not have."""
    domains = topology.sip_domains
    if "@" not in user:
        if len(domains) > 1:
            raise OperatorError(f"{user!r} has no domain; write {user}@ with one of: {', '.join(domains)}")
        user = f"{user}@{domains[0]}"
    host = user.rpartition("@")[2].lower()
    if host not in domains:
        raise OperatorError(f"{host} is not a SIP domain of the topology; it has: {', '.join(domains)}")
    return user
