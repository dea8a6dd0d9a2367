"""Who may be enrolled: the servers of the topology in force, but no management server.

A partner has a CA of its own: the topology refuses our root as its anchor. A gateway that gets its certificate from our CA is a
server of our topology.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.topology.view import certificate_names, unknown_server
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.view import ServerView
    from sipmesh.trust.trusted_peer import TrustedPeer


class NotEnrollableError(OperatorError):
    """The topology in force has no server of this name that may be enrolled."""


@dataclass(frozen=True, slots=True)
class Enrollable:
    """One server of the topology in force, with its *role*.

    *names* are those of its certificate, its own first; *addresses* those that the topology gives it. *peer* is the entry with
    which the judge compares its certificate.
    """

    name: str
    role: Role
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    peer: TrustedPeer


def enrollable(view: ServerView, name: str) -> Enrollable:
    """Return the server *name*, in lower case, of the topology of *view*; raises `NotEnrollableError`."""
    topology, peer = view.loaded.topology, view.trusted.get(name)
    server, pool = topology.server(name), topology.pool_of(name)
    if peer is None or server is None or pool is None:
        raise NotEnrollableError(unknown_server(topology, name).message)
    if pool.role is Role.MANAGEMENT:
        remedy = "renew its certificate with `sipmesh ca issue`, or let it join again with a new key"
        raise NotEnrollableError(f"{name} is a management server, which is not enrolled; {remedy}")
    given = (server.address, server.outside.address if server.outside is not None else None)
    addresses = tuple(dict.fromkeys(address for address in given if address is not None))
    return Enrollable(name, pool.role, certificate_names(topology, name), addresses, peer)
