"""A backup pool whose server has two workers: each of them serves the users of the lost pool, and gives them back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scenarios.test_workers import ONE, TWO, call_and_hang_up, pass_message
from sipmesh.demo.organisation import Organisation
from support.backing import back
from support.network import FE1, FE2, FE3, Network, copied
from support.process import serving
from support.running import LOOK_AGAIN_S, on_loop
from support.workers import Workers, give_workers

AFTER_S = 2
TAKEN_OVER, GIVEN_BACK = "pool taken over", "pool given back"


@asynccontextmanager
async def backup_of_two_workers(organisation: Organisation) -> AsyncIterator[Workers]:
    """The first pool in this loop, and one server of the second pool with two workers, which is its backup."""
    back(organisation, after_s=AFTER_S)
    give_workers(organisation, FE3)
    async with Network((organisation,), starts=(FE1, FE2)) as network, serving(organisation, FE3) as server:
        yield Workers(network, server, FE3)


async def logged(two: Workers, event: str, times: int) -> None:
    """Wait until the workers have logged an event so often."""
    while two.server.log.count(event) < times:
        await asyncio.sleep(LOOK_AGAIN_S)


@on_loop
@pytest.mark.wide
async def test_each_worker_serves_the_users_of_the_lost_pool_and_gives_them_back(
    two_pools_model: Organisation, tmp_path: Path
) -> None:
    async with backup_of_two_workers(copied(two_pools_model, tmp_path / "e")) as two:
        carried = await two.connected("alice", ONE)
        assert (await carried.register()).status == 200
        assert not two.server.log.count(TAKEN_OVER)
        for server in (FE1, FE2):
            await two.network.stop(server)
        await logged(two, TAKEN_OVER, 2)
        alice, bob = await two.phone("alice", ONE), await two.phone("bob", TWO)
        await pass_message(alice, bob)
        await pass_message(bob, alice)
        for caller, callee in ((alice, bob), (bob, alice)):
            await call_and_hang_up(caller, callee)
        two.network.start(FE1)
        await logged(two, GIVEN_BACK, 2)
        await alice.hung_up()
        alice = await two.phone("alice", TWO)
        assert len(two.network.nodes[FE1].home_flows) == 1
        await pass_message(bob, alice)


@on_loop
@pytest.mark.wide
async def test_worker_that_is_replaced_takes_over_again_and_reaches_phones_of_the_other_worker(
    two_pools_model: Organisation, tmp_path: Path
) -> None:
    """It judges by its own links. The other worker tells it that the time which the topology sets is over."""
    async with backup_of_two_workers(copied(two_pools_model, tmp_path / "e")) as two:
        for server in (FE1, FE2):
            await two.network.stop(server)
        await logged(two, TAKEN_OVER, 2)
        alice = await two.phone("alice", ONE)
        await two.signal(TWO, signal.SIGKILL)
        await two.replaced(TWO)
        await logged(two, TAKEN_OVER, 3)
        bob = await two.phone("bob", TWO + 1)
        await pass_message(bob, alice)
        await pass_message(alice, bob)
