"""Addresses with their own handshake budget: those of the topology, by IP address and by name, and those of accepted peers."""

from __future__ import annotations

from dataclasses import replace

from sipmesh.demo.ports import HOST
from sipmesh.server.in_force.published_addresses import PublishedAddresses
from sipmesh.server.quotas.known_addresses import MOST_PROVED, KnownAddresses
from sipmesh.trust.evidence import LinkKind
from support.in_force import current_of
from support.network import EDGE, EDGES, FE1, PARTNER_EDGE, PARTNER_EDGES, Network
from support.running import on_loop, until


def neighbours_of(network: Network, server: str) -> KnownAddresses:
    return KnownAddresses(current_of(network.of(server).load(), server))


def test_addresses_of_the_topology_are_known(federation: Network) -> None:
    neighbours = neighbours_of(federation, FE1)
    assert (neighbours.has(HOST), neighbours.has("192.0.2.1")) == (True, False)


@on_loop
async def test_partner_name_is_resolved_and_its_addresses_stay_without_dns(federation: Network) -> None:
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
async def test_address_of_an_accepted_partner_is_known_and_a_strangers_is_not(
    federation: Network,
) -> None:
    federation.starts = (EDGE,)
    federation.dns.records[EDGES, "A"] = [HOST]
    async with federation:
        node = federation.nodes[EDGE]
        node.current.value = replace(node.current.value, addresses=PublishedAddresses(frozenset(), {}))
        assert not node.neighbours.has(HOST)
        await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        await until(lambda: node.neighbours.has(HOST))


def test_addresses_of_accepted_peers_are_limited_and_an_ipv6_network_counts_once(federation: Network) -> None:
    neighbours = neighbours_of(federation, EDGE)
    for number in range(MOST_PROVED + 1):
        neighbours.proved(f"2001:db8:{number:x}::1")
    assert not neighbours.has("2001:db8:0::1")
    assert neighbours.has("2001:db8:1::ffff")
    assert len(neighbours._proved) == 1024
