"""From which addresses our servers and partners come: their handshakes have places that strangers cannot take."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from sipmesh.errors import SipmeshError
from sipmesh.routing.authentication.backoff import network_of
from sipmesh.routing.proxy.locate import Locate, is_ip
from sipmesh.transport.resolver import locate

if TYPE_CHECKING:
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.resolver import Resolver

MOST_PROVED: Final = 1_024
"""Addresses that are remembered because a server or a partner has proved itself there; the least recent goes first."""


class KnownAddresses:
    """The addresses of one server's neighbours.

    They are those in the topology, those that its names lead to in DNS, and those from which a link was accepted. An address
    decides nothing but who has room to shake hands: who is there is for the judge to say (rule R9).
    """

    def __init__(self, view: ServerView) -> None:
        self._found: dict[str, frozenset[str]] = {}
        self._proved: OrderedDict[str, None] = OrderedDict()
        self.apply_view(view)

    def __repr__(self) -> str:
        return (
            f"<KnownAddresses at {len(self._written)} addresses, {len(self._found)} names, {len(self._proved)} proved>"
        )

    def apply_view(self, view: ServerView) -> None:
        """Go by *view* from now on."""
        hosts = {host or name: port for name, (host, port) in view.addresses.items()}
        hosts |= dict(address for partner in view.partners for address in partner.addresses or ())
        self._written = frozenset(network_of(host) for host in hosts if is_ip(host))
        self._names = {host: port for host, port in hosts.items() if not is_ip(host)}
        self._found = {name: found for name, found in self._found.items() if name in self._names}

    def has(self, address: str) -> bool:
        """Tell whether a neighbour may come from *address*."""
        where = network_of(address)
        return where in self._written or where in self._proved or any(where in found for found in self._found.values())

    def proved(self, address: str) -> None:
        """A server or a partner has proved itself at *address*."""
        where = network_of(address)
        self._proved[where] = None
        self._proved.move_to_end(where)
        if len(self._proved) > MOST_PROVED:
            self._proved.popitem(last=False)

    async def look_up(self, resolver: Resolver) -> None:
        """Ask DNS where the names of the topology lead; where it does not answer, what was found before stays."""
        for name, port in self._names.items():
            try:
                found = await locate(Locate(name, port, None, entropy=os.urandom(8)), resolver)
            except SipmeshError:
                continue
            self._found[name] = frozenset(network_of(host) for host, _ in found)
