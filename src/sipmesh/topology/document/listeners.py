"""Where each server listens, and for whom: what a connection is follows from the listener alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.topology.document.model import CLIENT_PORT, PARTNER_PORT
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Pool, Server

ANYWHERE = "0.0.0.0"  # noqa: S104 - the operator who names no address wants every one; what may connect is judged
WILDCARDS = frozenset({ANYWHERE, "::"})

PORTS_OF: dict[Role, frozenset[str]] = {
    Role.FRONT_END: frozenset({"client", "server"}),
    Role.EDGE: frozenset({"server", "partner"}),
    Role.APPLICATION: frozenset({"server"}),
    Role.MANAGEMENT: frozenset({"server"}),
}
"""Which keys of `ports` mean something for a role (the table of links)."""


@dataclass(frozen=True, slots=True)
class ListenerSpec:
    """One listening socket: *host* is the IP address to bind, *name* the host that we advertise for it in SIP."""

    kind: LinkKind
    host: str
    port: int
    name: str


def inside_bind(server: Server) -> str:
    """The address on which a server listens for its own organisation."""
    return server.bind or server.address or ANYWHERE


def outside_bind(server: Server) -> str:
    """The address on which an edge listens for partners."""
    if server.outside is None:
        return inside_bind(server)
    return server.outside.bind or server.outside.address or ANYWHERE


def listeners(pool: Pool, server: Server) -> tuple[ListenerSpec, ...]:
    """All listeners of *server*; partners know an edge by its pool's name, everybody else a server by its own."""
    specs = [ListenerSpec(LinkKind.SERVER, inside_bind(server), server.server_port, server.name)]
    if pool.role is Role.FRONT_END:
        client = server.ports.client or CLIENT_PORT
        specs.insert(0, ListenerSpec(LinkKind.CLIENT, inside_bind(server), client, server.name))
    if pool.role is Role.EDGE:
        partner = server.ports.partner or PARTNER_PORT
        specs.append(ListenerSpec(LinkKind.PARTNER, outside_bind(server), partner, pool.name))
    return tuple(specs)
