"""Who logs in at one server."""

from __future__ import annotations

from sipmesh.server.running.worker_place import WorkerPlace
from support.network import FE1, POOL2, Network
from support.running import on_loop
from support.server_parts import server_parts

BOB = "sip:bob@example.test"


@on_loop
async def test_users_of_a_pool_that_is_taken_over_are_served_here(two_pools: Network) -> None:
    async with server_parts(two_pools.organisations[0], FE1) as parts:
        current = parts.setup.current
        assert current.value.homes.elsewhere(BOB) == POOL2
        parts.users.takeovers._put(frozenset({POOL2}))
        assert current.value.homes.elsewhere(BOB) == ""
        parts.users.takeovers._put(frozenset())
        assert current.value.homes.elsewhere(BOB) == POOL2


@on_loop
async def test_home_pools_follow_another_version(two_pools: Network) -> None:
    organisation = two_pools.organisations[0]
    async with server_parts(organisation, FE1) as parts:
        pools = organisation.document["pools"]
        assert isinstance(pools, list)
        organisation.document["pools"] = [pool for pool in pools if pool["name"] != POOL2]
        organisation.write()
        assert parts.put(organisation).homes.known_home(BOB) in {"", POOL2}


@on_loop
async def test_each_worker_has_its_share_of_the_logins_that_wait(two_pools: Network) -> None:
    organisation = two_pools.organisations[0]
    async with server_parts(organisation, FE1) as alone:
        limits = alone.users.failures._limits
    async with server_parts(organisation, FE1, WorkerPlace(1, 2)) as worker:
        assert worker.users.failures._limits.waiting_in_all == -(-limits.waiting_in_all // 2)
