"""Addresses that DNS answers of others may not lead this server to: they mean this machine or its own network.

Whoever answers for the name of a publisher could otherwise have this server send requests to services that only it can reach.
Addresses of private networks (RFC 1918, RFC 4193) are allowed: partners publish on them too.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""IPv4 addresses behind a NAT64 (RFC 6052)."""

_LOWEST_32: Final = (1 << 32) - 1
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
METADATA: Final = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))
"""Where clouds give a machine its credentials, if not at a link-local address."""


def is_special(text: str) -> bool:
    """Tell whether an address is of this machine, of its link, of several machines or of nobody (RFC 6890).

    Of an IPv6 address with an IPv4 address in it, the IPv4 address counts. Raises `ValueError` for a text that is no address.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        address = _inner(address) or address
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        return True
    return address.is_reserved or address in METADATA or address in _THIS_NETWORK


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _TRANSLATED:
        return IPv4Address(int(address) & _LOWEST_32)
    return address.ipv4_mapped or address.sixtofour
