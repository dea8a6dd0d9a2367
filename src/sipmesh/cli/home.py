"""Where a user's server is, and by what it is trusted: from the topology if it is here, else from options and DNS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.client.judge import Trust
    from sipmesh.topology.document import Loaded
    from sipmesh.transport.resolver import DnsResolver

Server = tuple[str | None, int | None]
"""Host and port as `UserAgent.connect` takes them; two times None means that the SIP domain is looked up by SRV."""

BY_SRV: Server = (None, None)


@dataclass(frozen=True, slots=True)
class Home:
    """What a client command needs to know: servers to try in this order, what it trusts, and whom it asks for names."""

    servers: tuple[Server, ...]
    trust: Trust
    resolver: DnsResolver | None


def find_home(domain: str, server: str, anchors: Sequence[Path], topology: Path) -> Home:
    """Find the home of *domain*: options first, then the topology where it has that domain, then DNS."""
    loaded = _loaded_for(domain, topology)
    servers = (_split(server),) if server else _front_ends(loaded) if loaded else (BY_SRV,)
    return Home(servers, trust_of(anchors, loaded, domain), _resolver(servers, loaded))


def _loaded_for(domain: str, topology: Path) -> Loaded | None:
    """The topology, if there is one that has *domain*."""
    from sipmesh.topology.document import load

    loaded = load(topology) if topology.exists() else None
    return loaded if loaded is not None and domain in loaded.topology.sip_domains else None


def trust_of(anchors: Sequence[Path], loaded: Loaded | None, domain: str) -> Trust:
    """What vouches for the server: the files given, else our own authority with its lists."""
    from sipmesh.client.judge import Trust
    from sipmesh.topology.files import UnusableFileError
    from sipmesh.topology.material import read_certificates

    if anchors:
        try:
            return Trust(tuple(found for file in anchors for found in read_certificates(file)), None)
        except UnusableFileError as wrong:
            raise OperatorError(f"{', '.join(map(str, anchors))}: {wrong}; name a PEM file with the root") from None
    if loaded is None:
        raise OperatorError(f"nothing here says by which CA {domain} is trusted; add --ca FILE, or --topology FILE")
    return Trust(loaded.authority.anchors, loaded.authority.lists)


def _split(server: str) -> Server:
    from pydantic_core import PydanticCustomError

    from sipmesh.topology.names import split_port

    try:
        return split_port(server)
    except PydanticCustomError as wrong:
        raise OperatorError(f"--server {server}: {wrong.message()}") from None


def _front_ends(loaded: Loaded) -> tuple[Server, ...]:
    """The client ports of our front ends."""
    from sipmesh.topology.listeners import listeners
    from sipmesh.trust.evidence import LinkKind

    return tuple(
        (server.address or server.name, spec.port)
        for pool in loaded.topology.pools
        for server in pool.servers
        for spec in listeners(pool, server)
        if spec.kind is LinkKind.CLIENT
    )


def _resolver(servers: Sequence[Server], loaded: Loaded | None) -> DnsResolver | None:
    """DNS, where an address has to be found: the topology's own servers first."""
    from sipmesh.routing.locate import is_ip

    if all(host is not None and is_ip(host) for host, _ in servers):
        return None
    return name_servers(loaded)


def name_servers(loaded: Loaded | None) -> DnsResolver:
    """Ask the name servers of the topology, or those of this machine where it names none."""
    from sipmesh.transport.resolver import DnsResolver

    named = loaded.topology.dns if loaded is not None else None
    return DnsResolver(*named.servers) if named is not None else DnsResolver()
