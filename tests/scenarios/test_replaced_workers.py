"""Workers that start while the disk has the users of before: the supervisor knows the present users."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from sipmesh.trust.evidence import LinkKind
from support.managed import MGMT, Managed
from support.network import FE1
from support.peer import Peer
from support.running import LOOK_AGAIN_S, on_loop, until

pytestmark = pytest.mark.wide  # it starts four interpreters

ALICE = "sip:alice@example.test"


def with_two_workers(document: dict[str, Any]) -> None:
    """Give the first front end two workers."""
    [server] = [server for pool in document["pools"] for server in pool["servers"] if server["name"] == FE1]
    server["workers"] = 2


async def workers(managed: Managed) -> list[dict[str, Any]]:
    """The workers of the front end that serve."""
    return list((await managed.ask(FE1, "status"))["workers"])


async def log_in(managed: Managed, password: str) -> int:
    """Log alice in with a password; gives the status."""
    peer = await Peer.open(managed.organisation.address(FE1, LinkKind.CLIENT), "alice@example.test")
    async with peer:
        return (await peer.register(password=password)).status


@on_loop
async def test_replaced_password_is_refused_by_a_worker_that_finds_an_old_file_of_users(managed: Managed) -> None:
    """The disk was full when the new password came, or was restored. The new password is accepted there, and got 503."""
    async with managed:
        await managed.start(MGMT)
        await managed.publish(with_two_workers)
        await managed.start(FE1)
        users = managed.nodes[FE1].users
        await until(lambda: users.verifier(ALICE))
        before, state = users.verifier(ALICE), managed.folder(FE1) / "state"
        old = {file: file.read_bytes() for file in (state / f"{FE1}.users", state / f"{FE1}.highest")}
        await managed.type("user", "password", "alice", "--password-stdin", typed="another-one")
        await until(lambda: users.verifier(ALICE) != before)
        await managed.acknowledged(2, FE1)
        for file, content in old.items():
            file.write_bytes(content)
        for one in await workers(managed):
            os.kill(one["pid"], signal.SIGKILL)
        while [one["starts"] for one in await workers(managed)] != [2, 2]:
            await asyncio.sleep(LOOK_AGAIN_S)
        assert await log_in(managed, "alice-secret") == 401
        assert await log_in(managed, "another-one") == 200
