"""A server of two workers in a pool across machines: each process has its rows in Valkey, and others see one server."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scenarios.test_workers import ONE, TWO, call, messages_pass_each_way, pass_message
from sipmesh.demo.organisation import Organisation
from sipmesh.storage.location_service.valkey.keys import Keys
from support.network import EXAMPLE, FE1, FE2, POOL
from support.peer import Peer
from support.process import serving
from support.running import LOOK_AGAIN_S, on_loop, until
from support.two_hosts import POOL_KEY, TwoHosts
from support.valkey_server import ValkeyServer
from support.workers import Workers, give_workers

pytestmark = pytest.mark.peer("valkey")
KEYS = Keys(EXAMPLE, POOL, POOL_KEY)


@asynccontextmanager
async def workers_beside_fe2(example: Organisation, folder: Path, valkey: ValkeyServer) -> AsyncIterator[Workers]:
    """Two workers of fe1 on one host, and fe2 in this loop on another one."""
    hosts = TwoHosts.of_pool(example, folder, valkey)
    for host in hosts.organisations:
        give_workers(host)
    hosts.starts = (FE2,)
    async with hosts as network, serving(network.of(FE1), FE1) as server:
        two = Workers(network, server)
        await until(lambda: complete(valkey))
        await network.connected()
        yield two


def complete(valkey: ValkeyServer) -> bool:
    """Whether each process is in the store, with all its rows."""
    found = valkey.ask("HGETALL", KEYS.servers)
    assert isinstance(found, list)
    entries = dict(zip(found[::2], found[1::2], strict=True))
    names = [f"{FE1}#1".encode(), f"{FE1}#2".encode(), FE2.encode()]
    return all(entries.get(name, b"0 0 0").split()[2] == b"1" for name in names)


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until a question that is asked of another process is answered with yes."""
    while not holds():
        await asyncio.sleep(LOOK_AGAIN_S)


async def status_of(sender: Peer, user: str) -> int:
    """The status of a request that is never stored."""
    return (await sender.ask(sender.request("OPTIONS", f"sip:{user}@{EXAMPLE}"))).status


@on_loop
@pytest.mark.wide
async def test_phones_of_both_workers_and_of_another_host_reach_each_other(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """Each row is of the process that has the link; the other host sends to the server, by any link."""
    async with workers_beside_fe2(example, tmp_path, valkey) as two:
        alice, bob = await two.phone("alice", ONE), await two.phone("bob", TWO)
        carol = await two.network.phone("carol", FE2)
        await messages_pass_each_way(alice, bob, carol)
        for caller, callee in ((alice, bob), (carol, bob), (alice, carol)):
            bye, _ = await call(caller, callee)
            await caller.send(bye)
            await callee.reply(await callee.request_in("BYE"), 200)
            assert (await caller.final(method="BYE")).status == 200
        assert {name: valkey.ask("SMEMBERS", KEYS.rows_of(name)) for name in (f"{FE1}#1", f"{FE1}#2", FE2)} == {
            f"{FE1}#1": [KEYS.hidden("sip:alice@example.test").encode()],
            f"{FE1}#2": [KEYS.hidden("sip:bob@example.test").encode()],
            FE2: [KEYS.hidden("sip:carol@example.test").encode()],
        }


@pytest.mark.wide
@on_loop
async def test_user_without_a_phone_is_away_at_each_process_and_one_who_moves_is_found(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """A device registers at one worker, at the other one, and on the other host, under one instance."""
    async with workers_beside_fe2(example, tmp_path, valkey) as two:
        alice, carol = await two.phone("alice", ONE), await two.network.phone("carol", FE2)
        for sender in (alice, carol):
            assert await status_of(sender, "bob") == 480
        places = [await two.connected("bob", ONE), await two.connected("bob", TWO), await two.network.peer(FE2, "bob")]
        for bob in places:
            bob.contact += ';+sip.instance="<urn:uuid:00000000-0000-0000-0000-000000000001>"'
            assert (await bob.register()).status == 200
            for sender in (alice, carol):
                await pass_message(sender, bob)


@pytest.mark.wide
@on_loop
async def test_killed_worker_takes_only_its_rows_with_it(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """A call ends with an answer, and another one can begin; phones of the other worker notice nothing.

    A connection that comes to the worker that is gone waits for the next one. On a busy machine the other host waits no longer.
    """
    async with workers_beside_fe2(example, tmp_path, valkey) as two:
        alice, bob = await two.phone("alice", ONE), await two.phone("bob", TWO)
        carol = await two.network.phone("carol", FE2)
        bye, _ = await call(carol, bob)
        await two.signal(TWO, signal.SIGKILL)
        await bob.hung_up()
        assert await status_of(carol, "bob") in {480, 503}
        assert (await alice.ask(alice.request("OPTIONS", "sip:example.test"))).status == 200
        assert (await carol.ask(bye)).status in {430, 480, 503}
        await two.replaced(TWO)
        back = await two.phone("bob", 3)
        await until(lambda: not two.network.nodes[FE2].outages.has(FE1))
        for caller in (carol, alice):
            await pass_message(caller, back)
            bye, _ = await call(caller, back)
            await caller.send(bye)
            await back.reply(await back.request_in("BYE"), 200)
            assert (await caller.final(method="BYE")).status == 200


@pytest.mark.wide
@on_loop
async def test_store_that_comes_back_empty_has_the_rows_of_each_worker_again(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """No user is reported as away before both workers have stored their rows."""
    async with workers_beside_fe2(example, tmp_path, valkey) as two:
        alice, bob = await two.phone("alice", ONE), await two.phone("bob", TWO)
        carol = await two.network.phone("carol", FE2)
        valkey.kill()
        await until(lambda: not two.network.nodes[FE2].locations.is_connected)  # type: ignore[attr-defined]
        valkey.start()
        for receiver in (alice, bob):
            answering = asyncio.create_task(answer(receiver))
            while (status := await status_of(carol, receiver.user.partition("@")[0])) != 200:
                assert status == 503
            await answering


async def answer(phone: Peer) -> None:
    """Answer the next request of `status_of`."""
    await phone.reply(await phone.request_in("OPTIONS"), 200)


@pytest.mark.wide
@on_loop
async def test_row_of_a_worker_that_a_client_removes_is_stored_again(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    async with workers_beside_fe2(example, tmp_path, valkey) as two:
        bob, carol = await two.phone("bob", TWO), await two.network.phone("carol", FE2)
        rows = KEYS.bindings("sip:bob@example.test")
        valkey.ask("DEL", rows)
        await eventually(lambda: valkey.ask("HLEN", rows) == 1)
        await pass_message(carol, bob)
