"""The servers of a user and their trust anchors: from the options, from the topology if it is here, or from DNS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.cli.place import Place
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.client.judge import Trust
    from sipmesh.sip.uri import SipUri
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.server import Server as ServerEntry
    from sipmesh.transport.resolver import DnsResolver

Server = tuple[str | None, int | None]
"""Host and port for `UserAgent.connect`; None for both means an SRV lookup of the SIP domain."""

BY_SRV: Server = (None, None)


@dataclass(frozen=True, slots=True)
class Home:
    """What a client command needs: the servers in the order of tries, the trust anchors, and the resolver of names."""

    servers: tuple[Server, ...]
    trust: Trust
    resolver: DnsResolver | None


def find_home(user: SipUri, server: str, anchors: Sequence[Path], topology: Path) -> Home:
    """Find the servers of *user*: from the options, else from the topology if it has the domain, else by DNS.

    Raises `OperatorError` without a trust anchor, and for a *server* that cannot be read.
    """
    domain = user.domain
    loaded = _loaded_for(domain, topology)
    servers = (_named(server, loaded),) if server else _front_ends(loaded, user.aor) if loaded else (BY_SRV,)
    return Home(servers, trust_of(anchors, loaded, domain), _resolver(servers, loaded))


def _loaded_for(domain: str, topology: Path) -> Loaded | None:
    """Return the topology if there is one here and it has *domain*."""
    loaded = Place(topology).found()
    return loaded if loaded is not None and domain in loaded.topology.sip_domains else None


def trust_of(anchors: Sequence[Path], loaded: Loaded | None, domain: str) -> Trust:
    """Return the trust anchors: those in the files *anchors*, else our own authority with its CRLs.

    Raises `OperatorError` if there is neither, or a file cannot be used.
    """
    from sipmesh.client.judge import Trust
    from sipmesh.topology.document.named_files.read import UnusableFileError
    from sipmesh.topology.document.named_files.trust_anchors import read_certificates

    if anchors:
        try:
            return Trust(tuple(anchor for file in anchors for anchor in read_certificates(file)), None)
        except UnusableFileError as wrong:
            raise OperatorError(f"{', '.join(map(str, anchors))}: {wrong}; name a PEM file with the root") from None
    if loaded is None:
        raise OperatorError(f"no root is known for {domain}; add --ca FILE, or --topology FILE")
    return Trust(loaded.authority.anchors, loaded.authority.lists)


def _named(server: str, loaded: Loaded | None) -> Server:
    """Read --server; a front end of the topology is connected to at its address there and, without a port, at its client port."""
    host, port = _split(server)
    name = (host or "").lower()
    known = _client_ports(loaded, lambda _, entry: entry.name == name) if loaded is not None else ()
    if not known:
        return host, port
    address, listens = known[0]
    return address, port or listens


def _split(server: str) -> Server:
    from pydantic_core import PydanticCustomError

    from sipmesh.topology.document.names import split_port

    try:
        return split_port(server)
    except PydanticCustomError as wrong:
        raise OperatorError(f"--server {server}: {wrong.message()}") from None


def _front_ends(loaded: Loaded, aor: str) -> tuple[Server, ...]:
    """Return the client ports of the home pool of *aor*; of all front ends if the home pool is not known here."""
    home = _home_pool(loaded, aor)
    return _client_ports(loaded, lambda pool, _: home in {"", pool.name})


def _client_ports(loaded: Loaded, wanted: Callable[[Pool, ServerEntry], bool]) -> tuple[Server, ...]:
    """Return address or name, and client port, of each *wanted* front end."""
    from sipmesh.topology.document.listeners import listeners

    return tuple(
        (server.address or server.name, spec.port)
        for pool in loaded.topology.pools
        for server in pool.servers
        if wanted(pool, server)
        for spec in listeners(loaded.topology, pool, server)
        if spec.key == "client"
    )


def _home_pool(loaded: Loaded, aor: str) -> str:
    """Return the home pool of *aor*; empty if there is one front-end pool only, or the user database is not here."""
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.home_pools import front_end_pools, home_by_default

    away = loaded.users_file is not None and not loaded.users_file.exists()
    if away or len(front_end_pools(loaded.topology)) < 2:  # noqa: PLR2004 - one pool leaves no choice
        return ""
    try:
        users = Users(loaded.users_url)
    except OperatorError:
        return ""
    try:
        named = users.home(aor)
    finally:
        users.close()
    return "" if named is None else named or home_by_default(loaded.topology)


def _resolver(servers: Sequence[Server], loaded: Loaded | None) -> DnsResolver | None:
    """Return a resolver if a server has no IP address, else None."""
    from sipmesh.routing.proxy.locate import is_ip

    if all(host is not None and is_ip(host) for host, _ in servers):
        return None
    return name_servers(loaded)


def name_servers(loaded: Loaded | None) -> DnsResolver:
    """Return a resolver that asks the name servers of the topology, or those of this machine if it names none."""
    from sipmesh.transport.resolver import DnsResolver

    named = loaded.topology.dns if loaded is not None else None
    return DnsResolver(*named.servers) if named is not None else DnsResolver()
