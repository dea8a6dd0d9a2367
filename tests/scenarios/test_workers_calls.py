"""Records of calls at a server of two workers: each worker has a journal, and management gets the records of both."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from server.management.test_network_calls import calls
from sipmesh.client.agent import UserAgent
from sipmesh.errors import SipmeshError
from sipmesh.storage.call_records.journal import FOLDER, servers_with_journals
from support.managed import MGMT, Managed, build_published
from support.network import FE1, ringing
from support.running import LOOK_AGAIN_S, on_loop

pytestmark = pytest.mark.soak  # each test starts a network and three interpreters


def with_workers(document: dict[str, Any]) -> None:
    """Give the first front end two workers."""
    for pool in document["pools"]:
        for server in pool["servers"]:
            if server["name"] == FE1:
                server["workers"] = 2


async def started(folder: Path) -> Managed:
    """Start management, and the front end with its workers."""
    network = Managed(build_published(folder / "o", call_records={}), folder)
    await network.__aenter__()
    await network.start(MGMT)
    await network.publish(with_workers)
    await network.start(FE1)
    await network.acknowledged(2, FE1)
    return network


async def logged_in(network: Managed, user: str) -> UserAgent:
    """Log *user* in; a worker that has just started may refuse the first attempts."""
    while True:
        with suppress(AssertionError, SipmeshError, OSError):
            return await network.agent(user, FE1)
        await asyncio.sleep(LOOK_AGAIN_S)


async def ended(network: Managed, wanted: int) -> list[dict[str, Any]]:
    """Wait until management has so many records of calls that have ended."""
    while len(found := [one for one in await calls(network, 0) if one["end"] is not None]) < wanted:
        await asyncio.sleep(LOOK_AGAIN_S)
    return found


@on_loop
async def test_calls_at_any_worker_have_one_record_and_can_be_ended(tmp_path: Path) -> None:
    """With four phones, the kernel gives some calls whose two phones are at different workers."""
    network = await started(tmp_path)
    try:
        callers = [await network.agent("alice", FE1) for _ in range(4)]
        bob = await network.agent("bob", FE1)
        for caller in callers:
            made = await caller.call("bob@example.test")
            came = await ringing(bob)
            await made.answered()
            await made.hang_up()
            await came.over()
        found = await ended(network, 4)
        assert len({one["call_id"] for one in found}) == len(found) == 4
        assert {one["server"] for one in found} == {FE1}
        made = await callers[0].call("bob@example.test")
        came = await ringing(bob)
        await made.answered()
        (up,) = await calls(network, 1, up=True)
        over = await network.ask(MGMT, "end-network-call", id=up["id"])
        assert over["why"].startswith("ended by the operator")
        await asyncio.gather(made.over(), came.over())
        journals = network.folder(FE1) / "state" / FOLDER
        assert servers_with_journals(network.folder(FE1) / "state") == [FE1]
        assert {file.name.rpartition("-")[0] for file in journals.glob("*.jsonl")} <= {f"{FE1}.w1", f"{FE1}.w2"}
    finally:
        await network.__aexit__()


@on_loop
async def test_worker_that_is_killed_leaves_its_journal_to_its_successor(tmp_path: Path) -> None:
    network = await started(tmp_path)
    try:
        alice, bob = await network.agent("alice", FE1), await network.agent("bob", FE1)
        assert (await alice.message("bob@example.test", "hello")).ok
        assert bob
        (before,) = await ended(network, 1)
        for worker in (await network.ask(FE1, "status"))["workers"]:
            os.kill(worker["pid"], signal.SIGKILL)
        while [one["starts"] for one in (await network.ask(FE1, "status"))["workers"]] != [2, 2]:
            await asyncio.sleep(LOOK_AGAIN_S)
        alice, bob = await logged_in(network, "alice"), await logged_in(network, "bob")
        while not (await alice.message("bob@example.test", "again")).ok:
            await asyncio.sleep(LOOK_AGAIN_S)
        found = await ended(network, 2)
        assert before["id"] in [one["id"] for one in found]
        assert len({one["id"] for one in found}) == len(found)
    finally:
        await network.__aexit__()
