"""A flow that has ended is known to no part of the server any more."""

from __future__ import annotations

from support.carrying import carrier, logged_in, path_of
from support.network import FE1, FE3, Network
from support.running import on_loop, until


@on_loop
async def test_closed_link_takes_its_flow_its_binding_and_its_branches_with_it(home: Network) -> None:
    async with home:
        node = home.nodes[FE1]
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("MESSAGE")
        await bob.__aexit__()
        assert (await alice.final()).status == 480
        [flow] = node.flow_table.sessions()
        assert (sorted(flow.users), node.relay.load) == (["sip:alice@example.test"], 0)
        assert (await alice.ask(alice.request("OPTIONS", "sip:bob@example.test"))).status == 480


@on_loop
async def test_carried_flow_ends_and_the_link_that_carries_it_stays(two_pools: Network) -> None:
    async with two_pools:
        node = two_pools.nodes[FE3]
        peer = await carrier(two_pools, FE3, FE1, "bob")
        await logged_in(peer, path_of(FE1))
        [carried] = [flow for flow in node.flow_table.sessions() if flow.carrier is not None]
        node._parts.relays.removal.flow_ended(carried)
        assert carried.closed
        assert carried not in node.flow_table.sessions()
        assert await logged_in(peer, path_of(FE1))
        await peer.__aexit__()
        await until(lambda: not [flow for flow in node.flow_table.sessions() if flow.carrier is not None])
