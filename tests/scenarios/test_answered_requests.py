"""Every request is answered: whichever server starts first, with and without workers, and over the end of any process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from itertools import permutations
from pathlib import Path

import pytest

from sipmesh.demo.organisation import PoolPlan
from sipmesh.trust.role import Role
from support.answered import Answered, Phone, message
from support.managed import Managed, build_managed
from support.network import BOT, EDGE, EXAMPLE, FE1, FE2, POOL
from support.real_network import RealNetwork, workers_at
from support.running import within

USERS = tuple(f"user{number}" for number in range(12))
PHONES_OF_A_SERVER = 3


@asynccontextmanager
async def network_of(tmp_path: Path, workers: Collection[str]) -> AsyncIterator[RealNetwork]:
    """Management, two front ends, an edge and an application; *workers* are the servers that have workers."""
    application = PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL, "speaks_for": [EXAMPLE]})
    organisation = build_managed(tmp_path / "m", application)
    organisation.add_users(*USERS, pool=POOL)
    async with RealNetwork(Managed(organisation, tmp_path)) as network:
        await network.managed.publish(workers_at(workers))
        yield network


async def phones_at(network: RealNetwork, *servers: str) -> list[Phone]:
    """Several phones at each server, so that each worker has one as good as always."""
    users = iter(USERS)
    return [await network.phone(server, next(users)) for server in servers for _ in range(PHONES_OF_A_SERVER)]


ORDERS = [
    pytest.param(order, workers, marks=() if (order, workers) == ((FE2, EDGE, FE1), (FE1, EDGE)) else pytest.mark.soak)
    for workers in ((FE1,), (FE1, EDGE), (EDGE,), (FE1, FE2, EDGE))
    for order in permutations((FE1, FE2, EDGE))
]


@pytest.mark.parametrize(("order", "workers"), ORDERS)
@within(120)
async def test_every_request_is_answered_whichever_server_starts_first(
    tmp_path: Path, order: tuple[str, ...], workers: tuple[str, ...]
) -> None:
    async with network_of(tmp_path, workers) as network:
        for name in order:
            await network.start(name)
        await network.follow()
        phones = await phones_at(network, FE1, FE2, EDGE)
        await network.application(FE2)
        application = await network.application(FE1)
        for phone in phones:  # a worker hears of the link of another one a moment later
            while await message(phone, application) != 200:
                pass
        answered = Answered()
        await answered.all_pairs([*phones, application])
        assert (answered.unanswered, answered.failed) == ([], [])
