"""Records reach the disk, also after it was full; a call that was up when its server died gets its end later."""

from __future__ import annotations

import asyncio

from sipmesh.server.running.running_server import RunningServer
from sipmesh.storage.call_records.call_record import CallRecord
from support.full_disk import limited_to
from support.network import FE1, Network
from support.recording import entry, with_records
from support.running import on_loop, until
from support.talking import inside_of, reaches, talking


async def written(node: RunningServer) -> list[CallRecord]:
    """Have all records written, and read them."""
    while len(node.relay.calls.records.buffer):
        node.records.tick()
        await asyncio.sleep(0)
    await until(lambda: node.records.is_idle)
    return list(node.records.journal.everything())


@on_loop
async def test_records_are_written_in_the_background(home: Network) -> None:
    async with with_records(home):
        await reaches(await home.phone("alice", FE1), await home.phone("bob", FE1))
        node = home.nodes[FE1]
        assert [one.callee for one in await written(node)] == ["bob@example.test"]
        assert (node.records.fault, node.records.left_out, node.records.written) == ("", 0, 1)


@on_loop
async def test_full_disk_delays_records_and_loses_none(home: Network) -> None:
    async with with_records(home):
        node = home.nodes[FE1]
        with limited_to(0):
            node.relay.calls.records.buffer.add(entry(id="a"))
            node.records.tick()
            await until(lambda: node.records.fault)
            node.relay.calls.records.buffer.add(entry(id="b"))
        assert "cannot be written" in node.records.fault
        assert [one.id for one in await written(node)] == ["a", "b"]
        assert (node.records.fault, node.records.left_out) == ("", 0)
        assert len(list(home.told[FE1].events("call records not written: they wait in memory"))) == 1


@on_loop
async def test_call_over_a_restart_of_its_server_has_its_end(home: Network) -> None:
    """The dialog outlives the process by its tokens, and so does the record by its journal."""
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        (before,) = await written(home.nodes[FE1])
        await home.stop(FE1)
        home.start(FE1)
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        assert (await alice.final(method="BYE")).status == 200
        after = (await written(home.nodes[FE1]))[-1]
        assert (after.id, after.why, after.is_up) == (before.id, "ended by BYE", False)


@on_loop
async def test_end_of_a_server_writes_what_waits(home: Network) -> None:
    async with with_records(home):
        node = home.nodes[FE1]
        await reaches(await home.phone("alice", FE1), await home.phone("bob", FE1))
        await home.stop(FE1)
        assert len(list(node.records.journal.everything())) == 1


@on_loop
async def test_without_the_key_there_is_no_journal(home: Network) -> None:
    async with home:
        await reaches(await home.phone("alice", FE1), await home.phone("bob", FE1))
        node = home.nodes[FE1]
        assert not await written(node)
        assert not node.records.journal.folder.exists()
