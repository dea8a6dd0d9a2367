"""Servers at two sites: the own site is preferred, another one serves while no server answers there."""

from __future__ import annotations

import pytest

from sipmesh.client.agent import UserAgent
from support.network import EDGE, FE1, FE2, FE3, FE4, PARTNER_FE, Network, text
from support.running import on_loop, until

BERLIN, PARIS = "berlin", "paris"


def place(network: Network, **sites: str) -> None:
    """Write the site of each server into the topology; a server is written by the first label of its name."""
    document = network.organisations[0].document
    document["sites"] = [BERLIN, PARIS]
    pools = document["pools"]
    assert isinstance(pools, list)
    for server in (server for pool in pools for server in pool["servers"]):
        server["site"] = sites[server["name"].partition(".")[0]]
    network.organisations[0].write()


async def ways(caller: UserAgent, callee: UserAgent, times: int = 8) -> set[tuple[str, ...]]:
    """The servers on the way of some messages, each with a Call-ID of its own, that of the caller first."""
    for _ in range(times):
        assert (await caller.message(callee.party.aor, "x")).ok
    return {tuple((await text(callee)).hops[1:]) for _ in range(times)}


@on_loop
@pytest.mark.wide
async def test_home_pool_is_reached_at_the_own_site_and_at_the_other_one_meanwhile(two_pools: Network) -> None:
    place(two_pools, fe1=BERLIN, fe2=PARIS, fe3=BERLIN, fe4=PARIS, edge1=BERLIN)
    async with two_pools:
        alice, bob = await two_pools.agent("alice", FE1), await two_pools.agent("bob", FE3)
        dora = await two_pools.agent("dora", FE4)
        assert await ways(alice, bob) == {(FE1, FE3)}
        await two_pools.stop(FE3)
        assert await ways(alice, dora) == {(FE1, FE4)}
        two_pools.start(FE3)
        await until(lambda: not two_pools.nodes[FE1].outages.has(FE3))
        bob = await two_pools.agent("bob", FE3)
        assert await ways(alice, bob) == {(FE1, FE3)}


@on_loop
async def test_login_is_carried_within_the_own_site(two_pools: Network) -> None:
    place(two_pools, fe1=BERLIN, fe2=PARIS, fe3=BERLIN, fe4=PARIS, edge1=BERLIN)
    async with two_pools:
        for server, home in ((FE1, FE3), (FE2, FE4)):
            for user in ("bob", "dora"):
                await two_pools.phone(user, server)
            assert len(two_pools.nodes[home].home_flows) == 2
        await two_pools.stop(FE3)
        await two_pools.phone("bob", FE1)
        assert len(two_pools.nodes[FE4].home_flows) == 3


@on_loop
async def test_edge_hands_requests_of_partners_to_its_own_site(federated_pools: Network) -> None:
    place(federated_pools, fe1=BERLIN, fe2=PARIS, fe3=BERLIN, fe4=PARIS, edge1=PARIS)
    async with federated_pools:
        erin, alice = await federated_pools.agent("erin", PARTNER_FE), await federated_pools.agent("alice", FE2)
        assert {way[-2:] for way in await ways(erin, alice)} == {(EDGE, FE2)}
        await federated_pools.stop(FE2)
        alice = await federated_pools.agent("alice", FE1)
        assert {way[-2:] for way in await ways(erin, alice)} == {(EDGE, FE1)}
