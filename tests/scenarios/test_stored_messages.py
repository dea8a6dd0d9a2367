"""Stored messages and the faults of machines: kill -9 at any instant, a full disk, and a database that servers share."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.running.running_server import RunningServer
from sipmesh.trust.evidence import LinkKind
from support.full_disk import small_disk
from support.network import FE1, FE2, Network, copied
from support.peer import HungUpError, Peer
from support.process import serving, spawn
from support.running import LOOK_AGAIN_S, on_loop, until, within

BOB = "sip:bob@example.test"
TEXT = ("content-type", "text/plain")
INSTANTS = 40
STEP_S = 0.004
"""Seconds between two of the instants at which the server is killed."""


async def say(peer: Peer, text: str) -> int:
    return (await peer.ask(peer.request("MESSAGE", BOB, [TEXT], text.encode()))).status


async def opened(organisation: Organisation, user: str) -> Peer:
    """A phone of *user* that registers at the first server, which is a process and may die."""
    peer = await Peer.open(organisation.address(FE1, LinkKind.CLIENT), f"{user}@example.test")
    with suppress(HungUpError, ConnectionError):
        assert (await peer.register()).status == 200
    return peer


async def take(phone: Peer) -> str:
    came = await phone.request_in("MESSAGE")
    await phone.reply(came, 200)
    return came.body.decode()


@on_loop
async def test_message_that_was_accepted_survives_the_death_of_the_server(example: Organisation) -> None:
    async with serving(example, FE1) as server:
        alice = await opened(example, "alice")
        assert await say(alice, "hello") == 202
        await server.end(signal.SIGKILL)
        await alice.__aexit__()
    async with serving(example, FE1):
        bob = await opened(example, "bob")
        assert await take(bob) == "hello"
        await bob.__aexit__()


def has_grown(texts: list[str], before: int) -> bool:
    return len(texts) > before


@pytest.mark.soak
@within(600.0)
async def test_no_accepted_message_is_lost_by_kills_at_forty_instants(example: Organisation) -> None:
    """While alice writes and, at every other instant, bob reads. What bob reads twice has the same Call-ID."""
    example.document["messages"] = {"per_user": 10_000, "per_sender": 10_000}
    example.write()
    accepted: list[str] = []
    received: dict[str, set[str]] = {}

    async def write(number: int) -> None:
        async with await opened(example, "alice") as alice:
            with suppress(HungUpError, ConnectionError):
                for count in range(1000):
                    text = f"{number}-{count}"
                    if await say(alice, text) in {200, 202}:
                        accepted.append(text)

    async def read() -> None:
        async with await opened(example, "bob") as bob:
            with suppress(HungUpError, ConnectionError):
                while True:
                    came = await bob.request_in("MESSAGE")
                    received.setdefault(came.body.decode(), set()).add(came.call_id)
                    await bob.reply(came, 200)

    for number in range(INSTANTS):
        process = await spawn(example, FE1)
        await process.ready()
        before = len(accepted)
        work = [asyncio.create_task(write(number))]
        if number % 2:
            work.append(asyncio.create_task(read()))
        await until(partial(has_grown, accepted, before))
        await asyncio.sleep(STEP_S * number)
        await process.end(signal.SIGKILL)
        await asyncio.gather(*work)
    async with serving(example, FE1):
        reading = asyncio.create_task(read())
        await until(lambda: set(accepted) <= set(received))
        reading.cancel()
    assert len(accepted) > INSTANTS
    assert all(len(call_ids) == 1 for call_ids in received.values())


@on_loop
async def test_full_disk_gives_no_202_until_there_is_room(example: Organisation, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        network = Network((copied(example, disk.folder / "e"),), starts=(FE1,))
        async with network:
            alice = await network.phone("alice", FE1)
            assert await say(alice, "before") == 202
            disk.fill()
            refused = 0
            while await say(alice, "x" * 60_000) == 202:  # the file may have some room left inside
                refused += 1
                assert refused < 50
            assert network.told[FE1].last("messages cannot be stored")
            disk.empty()
            assert await say(alice, "after") == 202
            bob = await network.phone("bob", FE1)
            texts = [await take(bob)]
            while texts[-1] != "after":
                texts.append(await take(bob))
            assert texts[0] == "before"


async def sweeps(node: RunningServer) -> None:
    """Let a server look for messages again and again, as its timer does: the other one may have the lease at first."""
    while True:
        node.events.sweep()
        await asyncio.sleep(LOOK_AGAIN_S)


@pytest.mark.peer("postgresql")
@on_loop
async def test_servers_on_two_machines_share_a_database(
    example: Organisation, tmp_path: Path, postgres_url: str
) -> None:
    """Each has a folder of its own; only the database of the messages is one."""
    example.document["storage"] = {"messages": postgres_url}
    example.write()
    async with Network((example,), starts=(FE1,)) as one:
        other = Organisation(
            tmp_path / "other", example.domain, example.host, example.ports, example.document, example.issued_at
        )
        copied(example, other.folder)
        other.write()
        async with Network((other,), starts=(FE2,)) as two:
            alice = await one.phone("alice", FE1)
            assert [await say(alice, text) for text in ("1", "2")] == [202, 202]
            bob = await two.phone("bob", FE2)
            looks = asyncio.create_task(sweeps(two.nodes[FE2]))
            assert [await take(bob), await take(bob)] == ["1", "2"]
            looks.cancel()
