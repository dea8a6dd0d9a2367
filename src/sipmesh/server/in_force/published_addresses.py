"""The addresses of servers and partners that a topology names, and the names whose addresses DNS knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.routing.authentication.backoff import network_of
from sipmesh.routing.proxy.locate import is_ip

if TYPE_CHECKING:
    from sipmesh.topology.view import ServerView


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
