"""The addresses of a topology."""

from __future__ import annotations

from sipmesh.demo.ports import HOST
from sipmesh.server.in_force.published_addresses import addresses_in
from sipmesh.topology.view import view
from support.network import EDGE, PARTNER_EDGES, Network


def test_addresses_are_known_by_their_network_and_names_are_to_be_resolved(federation: Network) -> None:
    published = addresses_in(view(federation.of(EDGE).load(), EDGE))
    assert published.networks == {HOST}
    assert PARTNER_EDGES in published.names
