"""The addresses of our servers and partners: their handshakes have a budget that strangers cannot use up."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import SipmeshError
from sipmesh.routing.authentication.backoff import network_of
from sipmesh.routing.proxy.locate import Locate, is_ip
from sipmesh.transport.resolver import locate

if TYPE_CHECKING:
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.resolver import Resolver

MOST_PROVED: Final = 1_024
"""Addresses that are remembered because a server or a partner was accepted there; the least recent is dropped first."""


@dataclass(frozen=True, slots=True)
class PublishedAddresses:
    """The addresses in a topology: *networks* of those that are written there, and the ports of *names* to resolve."""

    networks: frozenset[str]
    names: dict[str, int]


def addresses_in(view: ServerView) -> PublishedAddresses:
    """Return the addresses of the servers and partners in *view*."""
    hosts = {host or name: port for name, (host, port) in view.addresses.items()}
    hosts |= dict(address for partner in view.partners for address in partner.addresses or ())
    networks = frozenset(network_of(host) for host in hosts if is_ip(host))
    return PublishedAddresses(networks, {host: port for host, port in hosts.items() if not is_ip(host)})


class KnownAddresses:
    """The addresses of the servers and partners that one server knows.

    They come from the topology, from DNS for its names, and from accepted links. An address only decides which handshake
    budget applies; the judge decides about the peer (rule R9).
    """

    def __init__(self, view: ServerView) -> None:
        self._found: dict[str, frozenset[str]] = {}
        self._proved: OrderedDict[str, None] = OrderedDict()
        self.apply(addresses_in(view))

    def __repr__(self) -> str:
        return (
            f"<KnownAddresses at {len(self._written)} addresses, {len(self._found)} names, {len(self._proved)} proved>"
        )

    def apply(self, addresses: PublishedAddresses) -> None:
        """Use the addresses of another topology from now on."""
        self._written, self._names = addresses.networks, addresses.names
        self._found = {name: found for name, found in self._found.items() if name in self._names}

    def has(self, address: str) -> bool:
        """Return whether a server or a partner may connect from *address*."""
        where = network_of(address)
        return where in self._written or where in self._proved or any(where in found for found in self._found.values())

    def proved(self, address: str) -> None:
        """Remember *address*: a server or a partner was accepted there."""
        where = network_of(address)
        self._proved[where] = None
        self._proved.move_to_end(where)
        if len(self._proved) > MOST_PROVED:
            self._proved.popitem(last=False)

    async def look_up(self, resolver: Resolver) -> None:
        """Resolve the names of the topology; if DNS does not answer, the earlier addresses stay."""
        for name, port in self._names.items():
            try:
                found = await locate(Locate(name, port, None, entropy=os.urandom(8)), resolver)
            except SipmeshError:
                continue
            self._found[name] = frozenset(network_of(host) for host, _ in found)
