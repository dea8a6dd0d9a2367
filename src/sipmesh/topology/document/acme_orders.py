"""What a server orders from the public CA of the topology: for which names, and where it answers challenges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.listeners import ANYWHERE, has_clients, listeners, outside_bind
from sipmesh.topology.document.parts.acme import AcmeChallenge
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.acme import Acme
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.server import Server


def names_at_public_ca(topology: Topology, pool: Pool, server: Server, acme: Acme) -> tuple[str, ...]:
    """Give the names that clients of *server* ask for, the first of a listener first.

    By dns-01 the SIP domains are among them: RFC 5922 has phones look for these. By the other challenges the CA connects to the
    name, and the web server of the organisation answers at its domain.
    """
    clients = [spec.name for spec in listeners(topology, pool, server) if spec.kind is LinkKind.CLIENT]
    domains = topology.sip_domains if acme.challenge is AcmeChallenge.DNS_01 and clients else ()
    return tuple(dict.fromkeys((*(clients or [server.name]), *domains)))


def challenge_host(pool: Pool, server: Server, acme: Acme) -> str:
    """Give the address at which *server* answers challenges: that on which clients connect."""
    inside = server.bind or server.address or ANYWHERE
    own = outside_bind(server) if pool.remote_users and has_clients(pool) else inside
    return acme.bind or own
