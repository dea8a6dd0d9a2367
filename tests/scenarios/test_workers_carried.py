"""Users of one pool who log in at a server of another pool, where the server at either end has two workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scenarios.test_workers import ONE, TWO, call_and_hang_up, messages_pass_each_way
from sipmesh.demo.organisation import Organisation
from support.bindings import bound
from support.network import FE1, FE3, Network, copied
from support.process import serving
from support.running import LOOK_AGAIN_S, on_loop
from support.workers import Workers, give_workers

pytestmark = pytest.mark.wide


@asynccontextmanager
async def workers_at(name: str, organisation: Organisation) -> AsyncIterator[Workers]:
    """Two pools of one server each: *name* is a process with two workers, and the other runs in this loop."""
    give_workers(organisation, name)
    others = tuple(server for server in (FE1, FE3) if server != name)
    async with Network((organisation,), starts=others) as network, serving(organisation, name) as server:
        yield Workers(network, server, name)


@on_loop
async def test_user_who_is_carried_to_a_worker_is_reached_from_every_worker(
    two_pools_model: Organisation, tmp_path: Path
) -> None:
    """The link between the two servers is at one worker; the phones at home are at both. Then the phone goes."""
    async with workers_at(FE3, copied(two_pools_model, tmp_path / "e")) as two:
        bob, dora = await two.network.phone("bob", FE1), await two.phone("dora", ONE)
        alice = await two.network.phone("alice", FE1)
        await messages_pass_each_way(bob, dora, alice)
        await call_and_hang_up(bob, dora)
        await call_and_hang_up(dora, bob, 1)
        dora = await two.phone("dora", TWO)
        await messages_pass_each_way(bob, dora, alice)
        await call_and_hang_up(dora, bob)
        await call_and_hang_up(bob, dora, 1)
        assert (await bob.register()).status == 200
        await bob.__aexit__()
        while (await two.server.ask("user", user="sip:bob@example.test"))["bindings"]:
            await asyncio.sleep(LOOK_AGAIN_S)
        assert (await dora.ask(dora.request("MESSAGE", "sip:bob@example.test"))).status == 202  # it is stored


@on_loop
async def test_worker_carries_users_of_another_pool(two_pools_model: Organisation, tmp_path: Path) -> None:
    """Two phones at both workers of the server with their links; each worker has a link of its own to the home pool."""
    async with workers_at(FE1, copied(two_pools_model, tmp_path / "e")) as two:
        bob, dora = await two.phone("bob", ONE), await two.phone("dora", TWO)
        alice = await two.phone("alice", TWO)
        await messages_pass_each_way(bob, dora, alice)
        await call_and_hang_up(bob, dora)
        await call_and_hang_up(dora, bob, 1)
        assert (await bob.register()).status == 200
        await bob.__aexit__()
        while await bound(two.network.nodes[FE3], "sip:bob@example.test"):
            await asyncio.sleep(LOOK_AGAIN_S)
        assert (await dora.ask(dora.request("MESSAGE", "sip:bob@example.test"))).status == 202
