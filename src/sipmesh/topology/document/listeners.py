"""The listeners of each server. Only the listener decides what kind of link a connection is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.topology.document.model import CLIENT_PORT, PARTNER_PORT
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Pool, Server

ANYWHERE = "0.0.0.0"  # noqa: S104 - the default if the operator names no address; the judge decides who may connect
WILDCARDS = frozenset({ANYWHERE, "::"})

PORTS_OF: dict[Role, frozenset[str]] = {
    Role.FRONT_END: frozenset({"client", "server"}),
    Role.EDGE: frozenset({"server", "partner"}),
    Role.APPLICATION: frozenset({"server"}),
    Role.MANAGEMENT: frozenset({"server"}),
}
"""The keys of `ports` that each role has (the table of links)."""


@dataclass(frozen=True, slots=True)
class ListenerSpec:
    """One listening socket. *host* is the IP address to bind; *name* is the host name for it in SIP."""

    kind: LinkKind
    host: str
    port: int
    name: str


def inside_bind(server: Server) -> str:
    """Give the address on which a server listens for servers and clients of its own organisation."""
    return server.bind or server.address or ANYWHERE


def outside_bind(server: Server) -> str:
    """Give the address on which an edge listens for partners."""
    if server.outside is None:
        return inside_bind(server)
    return server.outside.bind or server.outside.address or ANYWHERE


def listeners(pool: Pool, server: Server) -> tuple[ListenerSpec, ...]:
    """Give all listeners of *server*. For partners, an edge has the name of its pool; else a server has its own name."""
    specs = [ListenerSpec(LinkKind.SERVER, inside_bind(server), server.server_port, server.name)]
    if pool.role is Role.FRONT_END:
        client = server.ports.client or CLIENT_PORT
        specs.insert(0, ListenerSpec(LinkKind.CLIENT, inside_bind(server), client, server.name))
    if pool.role is Role.EDGE:
        partner = server.ports.partner or PARTNER_PORT
        specs.append(ListenerSpec(LinkKind.PARTNER, outside_bind(server), partner, pool.name))
    return tuple(specs)
