"""The listeners of each server. Only the listener decides what kind of link a connection is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.topology.document.parts.server import CLIENT_PORT, PARTNER_PORT, REMOTE_CLIENT_PORT, WEBSOCKET_PORT
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.server import Server

TRUNK_PORT = "trunk "
ANYWHERE = "0.0.0.0"  # noqa: S104 - the default if the operator names no address; the judge decides who may connect
WEBSOCKET = "websocket"
WILDCARDS = frozenset({ANYWHERE, "::"})

PORTS_OF: dict[Role, frozenset[str]] = {
    Role.FRONT_END: frozenset({"client", "server", "websocket"}),
    Role.EDGE: frozenset({"server", "partner"}),
    Role.GATEWAY: frozenset({"server", "partner"}),
    Role.APPLICATION: frozenset({"server"}),
    Role.MANAGEMENT: frozenset({"server"}),
}
"""The keys of `ports` that each role has (the table of links). An edge with remote users has those of a front end too."""


@dataclass(frozen=True, slots=True)
class ListenerSpec:
    """One listening socket. *host* is the IP address to bind; *name* is the host name for it in SIP.

    *kind* says what its links may do. *key* is the key of `ports` that sets its port, or that of a trunk (`trunk_port`).
    """

    kind: LinkKind
    host: str
    port: int
    name: str
    key: str

    @property
    def is_websocket(self) -> bool:
        """Whether its links speak SIP over WebSocket (RFC 7118)."""
        return self.key == WEBSOCKET


def trunk_port(trunk: str) -> str:
    """Give the key of the port and the name that a server of a gateway has for one trunk alone."""
    return TRUNK_PORT + trunk


def inside_bind(server: Server) -> str:
    """Give the address on which a server listens for servers and clients of its own organisation."""
    return server.bind or server.address or ANYWHERE


def outside_bind(server: Server) -> str:
    """Give the address on which an edge listens for partners."""
    if server.outside is None:
        return inside_bind(server)
    return server.outside.bind or server.outside.address or ANYWHERE


def has_clients(pool: Pool) -> bool:
    """Tell whether phones connect to the servers of *pool*."""
    return pool.role is Role.FRONT_END or pool.remote_users


def ports_of(pool: Pool) -> frozenset[str]:
    """Give the keys of `ports` that the servers of *pool* have."""
    return PORTS_OF[pool.role] | (PORTS_OF[Role.FRONT_END] if pool.remote_users else frozenset())


def remote_listeners(topology: Topology, pool: Pool, server: Server) -> list[ListenerSpec]:
    """Give the listeners of an edge for remote users, on its outside. To them it has the name of its pool."""
    host, ports = outside_bind(server), server.ports
    specs = [ListenerSpec(LinkKind.CLIENT, host, ports.client or REMOTE_CLIENT_PORT, pool.name, "client")]
    if topology.websocket is not None:
        specs.append(ListenerSpec(LinkKind.CLIENT, host, ports.websocket or WEBSOCKET_PORT, pool.name, WEBSOCKET))
    return specs


def listeners(topology: Topology, pool: Pool, server: Server) -> tuple[ListenerSpec, ...]:
    """Give all listeners of *server*. Outside, an edge or a gateway has the name of its pool; else a server has its own."""
    inside = inside_bind(server)
    specs = [ListenerSpec(LinkKind.SERVER, inside, server.server_port, server.name, "server")]
    if pool.role is Role.FRONT_END:
        client = server.ports.client or CLIENT_PORT
        specs.insert(0, ListenerSpec(LinkKind.CLIENT, inside, client, server.name, "client"))
    if pool.role is Role.FRONT_END and topology.websocket is not None:
        websocket = server.ports.websocket or WEBSOCKET_PORT
        specs.append(ListenerSpec(LinkKind.CLIENT, inside, websocket, server.name, WEBSOCKET))
    if pool.remote_users:
        specs += remote_listeners(topology, pool, server)
    if pool.role in BORDERS:
        partner = server.ports.partner or PARTNER_PORT
        specs.append(ListenerSpec(LinkKind.PARTNER, outside_bind(server), partner, pool.name, "partner"))
    for trunk in topology.federation.trunks_of(pool.name):
        if trunk.trunk is not None and trunk.trunk.port is not None:
            port, name = trunk.trunk.port, trunk.trunk.host or pool.name
            specs.append(ListenerSpec(LinkKind.PARTNER, outside_bind(server), port, name, trunk_port(trunk.name)))
    return tuple(specs)
