"""Whose handshakes have places of their own: addresses of the topology, by number and by name, and those that proved it."""

from __future__ import annotations

from sipmesh.demo.ports import HOST
from sipmesh.server.quotas.known_addresses import MOST_PROVED, KnownAddresses
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, EDGES, FE1, PARTNER_EDGE, PARTNER_EDGES, Network
from support.running import on_loop, until


def neighbours_of(network: Network, server: str) -> KnownAddresses:
    return KnownAddresses(view(network.of(server).load(), server))


def test_addresses_of_the_topology_are_those_of_neighbours(federation: Network) -> None:
    neighbours = neighbours_of(federation, FE1)
    assert (neighbours.has(HOST), neighbours.has("192.0.2.1")) == (True, False)


@on_loop
async def test_name_of_a_partner_is_looked_up_and_what_was_found_outlives_dns(federation: Network) -> None:
    federation.starts = ()
    federation.dns.records[PARTNER_EDGES, "A"] = ["192.0.2.7"]
    async with federation:
        node = federation.start(EDGE)
        assert not node.neighbours.has("192.0.2.7")
        await node.neighbours.look_up(node.resolver)
        assert node.neighbours.has("192.0.2.7")
        del federation.dns.records[PARTNER_EDGES, "A"]
        node.resolver.change(*node.view.dns_servers)
        await node.neighbours.look_up(node.resolver)
        assert node.neighbours.has("192.0.2.7")
        assert not node.neighbours.has("192.0.2.8")


@on_loop
async def test_address_from_which_a_partner_was_accepted_is_remembered_and_a_strangers_is_not(
    federation: Network,
) -> None:
    federation.starts = (EDGE,)
    federation.dns.records[EDGES, "A"] = [HOST]
    async with federation:
        node = federation.nodes[EDGE]
        node.neighbours._written = frozenset()
        assert not node.neighbours.has(HOST)
        await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        await until(lambda: node.neighbours.has(HOST))


def test_addresses_that_were_proved_are_bounded_and_an_ipv6_network_is_one(federation: Network) -> None:
    neighbours = neighbours_of(federation, EDGE)
    for number in range(MOST_PROVED + 1):
        neighbours.proved(f"2001:db8:{number:x}::1")
    assert not neighbours.has("2001:db8:0::1")
    assert neighbours.has("2001:db8:1::ffff")
    assert repr(neighbours).endswith("1024 proved>")
