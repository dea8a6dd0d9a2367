"""The addresses of our servers and partners: their handshakes have a budget that strangers cannot use up."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from sipmesh.errors import SipmeshError
from sipmesh.routing.authentication.backoff import network_of
from sipmesh.routing.proxy.locate import Locate
from sipmesh.transport.resolver import locate

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.transport.resolver import Resolver

MOST_PROVED: Final = 1_024
"""Addresses that are remembered because a server or a partner was accepted there; the least recent is dropped first."""


class KnownAddresses:
    """The addresses of the servers and partners that one server knows.

    They come from the topology, from DNS for its names, and from accepted links. An address only decides which handshake
    budget applies; the judge decides about the peer (rule R9).
    """

    def __init__(self, current: Current) -> None:
        self._current = current
        self._found: dict[str, frozenset[str]] = {}
        self._proved: OrderedDict[str, None] = OrderedDict()

    def has(self, address: str) -> bool:
        """Return whether a server or a partner may connect from *address*."""
        where, published = network_of(address), self._current.value.addresses
        return (
            where in published.networks
            or where in self._proved
            or any(where in found for name, found in self._found.items() if name in published.names)
        )

    def proved(self, address: str) -> None:
        """Remember *address*: a server or a partner was accepted there."""
        where = network_of(address)
        self._proved[where] = None
        self._proved.move_to_end(where)
        if len(self._proved) > MOST_PROVED:
            self._proved.popitem(last=False)

    async def look_up(self, resolver: Resolver) -> None:
        """Resolve the names of the topology; if DNS does not answer, the earlier addresses stay."""
        published = self._current.value.addresses
        self._found = {name: found for name, found in self._found.items() if name in published.names}
        for name, port in published.names.items():
            try:
                found = await locate(Locate(name, port, None, entropy=os.urandom(8)), resolver)
            except SipmeshError:
                continue
            self._found[name] = frozenset(network_of(host) for host, _ in found)
