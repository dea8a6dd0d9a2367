"""When a backup pool takes over: each of its servers judges by its own links only."""

from __future__ import annotations

import asyncio

import pytest

from support.backing import Divide, pair, passed
from support.network import FE1, FE2, FE3, FE4, POOL, Network
from support.running import on_jumping_loop, until

AFTER_S = 60


@pytest.mark.wide
@on_jumping_loop
async def test_pool_is_taken_over_after_its_time_and_given_back_with_its_first_answer(two_pools: Network) -> None:
    pair(two_pools)
    async with two_pools:
        node, loop = two_pools.nodes[FE3], asyncio.get_running_loop()
        await two_pools.stop(FE1)
        await passed(2 * AFTER_S)
        assert not node.takeovers.pools  # one server answers
        await two_pools.stop(FE2)
        await until(lambda: node.outages.has_all((FE1, FE2)))
        began = loop.time()
        await until(lambda: node.takeovers.pools)
        assert AFTER_S - 1 <= loop.time() - began <= AFTER_S + 1
        assert node.takeovers.pools == {POOL}
        assert two_pools.told[FE3].last("pool taken over: none of its servers answers")["pool"] == POOL
        two_pools.start(FE1)
        await until(lambda: not node.takeovers.pools)
        assert two_pools.told[FE3].last("pool given back")["pool"] == POOL


@on_jumping_loop
@pytest.mark.wide
async def test_short_answer_starts_the_time_again(two_pools: Network) -> None:
    pair(two_pools)
    two_pools.starts = (FE3,)
    async with two_pools:
        node = two_pools.nodes[FE3]
        await passed(AFTER_S - 10)
        two_pools.start(FE2)
        await until(lambda: not node.outages.has(FE2))
        await two_pools.stop(FE2)
        await passed(AFTER_S - 10)
        assert not node.takeovers.pools
        await until(lambda: node.takeovers.pools)


@on_jumping_loop
@pytest.mark.wide
async def test_pool_without_a_backup_pool_is_taken_over_by_no_pool(two_pools: Network) -> None:
    """The same with a backup pool is the test before the last one."""
    two_pools.starts = (FE3, FE4)
    async with two_pools:
        await passed(3 * AFTER_S)
        assert not any(node.takeovers.pools for node in two_pools.nodes.values())
        assert not two_pools.nodes[FE3].outages.names  # no server keeps a link to the servers of that pool


@on_jumping_loop
@pytest.mark.wide
async def test_version_of_the_topology_that_names_another_backup_pool_ends_it_at_once(two_pools: Network) -> None:
    pair(two_pools)
    two_pools.starts = (FE3,)
    async with two_pools:
        node = two_pools.nodes[FE3]
        await until(lambda: node.takeovers.pools)
        assert node.homes.is_guest("sip:alice@example.test")
        pair(two_pools, backup=None)
        node.put_in_force(two_pools.organisations[0].load())
        assert not node.takeovers.pools
        assert node.homes.verifier("sip:alice@example.test") is None


@pytest.mark.wide
@on_jumping_loop
async def test_split_without_a_notification_is_found_out_by_the_links(two_pools: Network) -> None:
    pair(two_pools)
    two_pools.starts = (FE1, FE3)
    async with two_pools, Divide(two_pools, FE1, FE3) as divide:
        node = two_pools.nodes[FE3]
        divide.stop()
        await until(lambda: node.takeovers.pools)
        assert not two_pools.nodes[FE1].takeovers.pools  # the home pool backs no pool
        divide.go_on()
        await until(lambda: not node.takeovers.pools)


@on_jumping_loop
@pytest.mark.wide
async def test_process_that_has_started_again_waits_no_longer_than_the_others(two_pools: Network) -> None:
    """Another process of this server has taken over. Here too no server of the pool may answer."""
    pair(two_pools)
    async with two_pools:
        node, loop = two_pools.nodes[FE3], asyncio.get_running_loop()
        node.takeovers.taken_elsewhere(2, frozenset({POOL}))
        await two_pools.stop(FE1)
        await passed(5)
        assert not node.takeovers.pools  # one server answers
        await two_pools.stop(FE2)
        await until(lambda: node.outages.has_all((FE1, FE2)))
        began = loop.time()
        await until(lambda: node.takeovers.pools)
        assert loop.time() - began < AFTER_S / 2
        node.takeovers.taken_elsewhere(2, frozenset())
        await passed(2)
        assert not node.takeovers.pools  # it is on its own again
        await until(lambda: node.takeovers.pools)
