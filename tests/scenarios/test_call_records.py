"""Records of calls and the faults of machines: `kill -9` of the server that makes them, and a full disk, in the middle of calls.

The records are counted at management. `make soak ARGS="-s tests/scenarios/test_call_records.py"` makes 1,000 calls.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.trust.evidence import LinkKind
from support.full_disk import small_disk
from support.managed import MGMT, Managed, build_published
from support.network import EXAMPLE, FE1
from support.peer import Peer
from support.process import Process, spawn
from support.running import LOOK_AGAIN_S, on_loop, within
from support.talking import inside_of, talking

DISK_OCTETS = 4 << 20
LAST = 5
"""Calls right before the kill, whose records may be lost."""


@dataclass
class Run:
    """Calls of alice to bob at a server that is a process of its own; *over* are those that were hung up, by Call-ID."""

    network: Managed
    over: list[str] = field(default_factory=list)
    risked: list[str] = field(default_factory=list)
    numbers: int = 0

    @property
    def folder(self) -> Path:
        return self.network.folder(FE1) / "state" / "calls"

    async def serve(self) -> Process:
        """Start the server, and wait until it answers."""
        process = await spawn(replace(self.network.organisation, folder=self.network.folder(FE1)), FE1)
        await process.ready()
        return process

    async def phones(self) -> tuple[Peer, Peer]:
        """Log alice and bob in, once the server has the users."""
        found = []
        for user in ("alice", "bob"):
            while True:
                peer = await Peer.open(self.network.organisation.address(FE1, LinkKind.CLIENT), f"{user}@{EXAMPLE}")
                if (await peer.register()).status == 200:
                    break
                await peer.__aexit__()
                await asyncio.sleep(LOOK_AGAIN_S)
            found.append(peer)
        return found[0], found[1]

    async def begin(self, alice: Peer, bob: Peer) -> Dialog:
        """Call and answer."""
        self.numbers += 1
        _, _, dialog = await talking(alice, bob, f"call-{self.numbers}")
        await bob.request_in("ACK")
        return dialog

    async def end(self, alice: Peer, bob: Peer, dialog: Dialog) -> None:
        """Hang up."""
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        assert (await alice.final(method="BYE")).status == 200
        self.over.append(dialog.call_id)

    async def calls(self, alice: Peer, bob: Peer, count: int) -> None:
        """Make *count* calls, one after the other."""
        for _ in range(count):
            await self.end(alice, bob, await self.begin(alice, bob))

    def written(self) -> set[str]:
        """The calls that have ended by the journal."""
        lines = [line for file in self.folder.glob("*.jsonl") for line in file.read_text().splitlines()]
        with suppress(json.JSONDecodeError):  # the last line may not be whole
            return {one["call_id"] for one in map(json.loads, lines) if one["end"] is not None}
        return set()

    async def until_written(self) -> None:
        """Wait until the journal has every call that was hung up."""
        while not set(self.over) <= self.written():
            await asyncio.sleep(LOOK_AGAIN_S)

    async def at_management(self, wanted: int) -> list[dict[str, Any]]:
        """Read all records at management, once so many calls have ended there."""
        while True:
            found: list[dict[str, Any]] = []
            before, has_more = "", True
            while has_more:
                reply = await self.network.ask(MGMT, "calls", before=before)
                found, has_more = found + reply["records"], reply["has_more"]
                before = found[-1]["id"] if found else ""
            if len([one for one in found if one["end"] is not None]) >= wanted:
                return found
            await asyncio.sleep(LOOK_AGAIN_S)


async def calls_with_faults(folder: Path, count: int) -> None:
    """Make *count* calls, with a kill after a third of them, and a full disk after two thirds; count the records."""
    network = Managed(build_published(folder / "o", call_records={"megabytes": 64}), folder)
    run = Run(network)
    third = count // 3
    async with network:
        await network.start(MGMT)
        network.join(FE1)
        with small_disk(run.folder, DISK_OCTETS) as disk:
            process = await run.serve()
            alice, bob = await run.phones()
            await run.calls(alice, bob, third)
            stays = await run.begin(alice, bob)
            await run.until_written()
            known = len(run.over)
            await run.calls(alice, bob, LAST)
            await process.end(signal.SIGKILL)
            run.risked, run.over = run.over[known:], run.over[:known]
            process = await run.serve()
            alice, bob = await run.phones()
            await run.end(alice, bob, stays)
            await run.calls(alice, bob, third)
            await run.until_written()
            disk.fill()
            await run.calls(alice, bob, count - 2 * third - LAST)
            while "call records not written: they wait in memory" not in process.log:
                await asyncio.sleep(LOOK_AGAIN_S)
            assert not set(run.over) <= run.written()
            disk.empty()
            await run.calls(alice, bob, LAST)
            found = await run.at_management(len(run.over))
            assert await process.end(signal.SIGTERM) == 0
    tell(run, found)


def tell(run: Run, found: list[dict[str, Any]]) -> None:
    """Count: each call has one record, but for those that were risked; the call that was up at the kill has its end."""
    ended = Counter(one["call_id"] for one in found if one["end"] is not None)
    lost = [call for call in run.risked if call not in ended]
    print(f"{run.numbers} calls, {len(found)} records, {len(lost)} of {len(run.risked)} risked are lost")  # noqa: T201 - for -s
    assert {call: ended[call] for call in run.over} == dict.fromkeys(run.over, 1)
    assert max(ended.values()) == 1
    assert not [one for one in found if one["end"] is None and one["call_id"] not in run.risked]


@pytest.mark.wide
@on_loop
async def test_each_call_has_one_record_over_a_kill_and_a_full_disk(tmp_path: Path) -> None:
    await calls_with_faults(tmp_path, 45)


@pytest.mark.soak
@within(900.0)
async def test_thousand_calls_have_a_record_each(tmp_path: Path) -> None:
    await calls_with_faults(tmp_path, 1_000)
