"""Where the DNS names of others may lead this server.

A server that answers for the name of a partner or of a publisher could otherwise have this server send requests to
services that only it can reach: on this machine, on our other servers, or in a private network.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sipmesh.topology.document.names import is_url, split_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.server import Server

_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""IPv4 addresses behind a NAT64 (RFC 6052)."""

_LOWEST_32: Final = (1 << 32) - 1
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
METADATA: Final = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))
"""Where clouds give a machine its credentials, if not at a link-local address."""

_SITE_LOCAL: Final = IPv6Network("fec0::/10")
"""Private addresses before RFC 4193. They are deprecated (RFC 3879), and networks still use them."""


@dataclass(frozen=True, slots=True)
class ReachableAddresses:
    """The addresses to which names of others may lead: public addresses, and those of *networks* that the topology names.

    *ours* are the addresses of our own servers. *hosts* are names of our own authority, whose DNS is ours: they may lead into
    private networks too. *responders* are names of the OCSP responders of our own CA, as our certificates have them: they may
    lead to our servers too, since management answers OCSP.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    ours: frozenset[IPv4Address | IPv6Address] = frozenset()
    hosts: frozenset[str] = frozenset()
    responders: frozenset[str] = frozenset()

    def refused(self, host: str, address: str, is_here: Callable[[str], bool]) -> str:
        """Say what is wrong with an *address* that DNS gives for *host*; "" if it may be contacted.

        *is_here* tells whether this machine has an address. Raises `ValueError` for a text that is no address.
        """
        found = _read(address)
        if any(found in network for network in self.networks):
            return ""
        if host in self.responders and found in self.ours and not is_special(address):
            return ""
        if found in self.ours or is_special(address) or is_here(address):
            return f"{address}, on this machine, its link or one of our servers"
        if host in self.hosts | self.responders or (found.is_global and found not in _SITE_LOCAL):
            return ""
        return f"{address}, in a private network"


def reachable_addresses(topology: Topology) -> ReachableAddresses:
    """Return where names of others may lead the servers of a topology."""
    servers = topology.servers
    ours = frozenset(_read(address) for server in servers for address in _addresses(server))
    authority = topology.authority
    named = {urlsplit(url).hostname or "" for url in (*authority.crls, *authority.ocsp) if is_url(url)}
    hosts = named.union(split_port(host)[0] for host in authority.crl_hosts)
    return ReachableAddresses(topology.federation.networks, ours, frozenset(hosts))


def _addresses(server: Server) -> Iterator[str]:
    outside = server.outside.address if server.outside is not None else None
    return (address for address in (server.address, outside) if address is not None)


def is_special(text: str) -> bool:
    """Tell whether an address is of this machine, of its link, of several machines, or unassigned (RFC 6890).

    Of an IPv6 address with an IPv4 address in it, the IPv4 address counts. Raises `ValueError` for a text that is no address.
    """
    address = _read(text)
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        return True
    return address.is_reserved or address in METADATA or address in _THIS_NETWORK


def _read(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text.partition("%")[0])
    return (_inner(address) or address) if isinstance(address, IPv6Address) else address


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _TRANSLATED:
        return IPv4Address(int(address) & _LOWEST_32)
    return address.ipv4_mapped or address.sixtofour
