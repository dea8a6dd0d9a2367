"""A front end of two workers, as an operator starts it, and phones at the worker that a test wants."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sipmesh.demo.organisation import Organisation
from sipmesh.server.running.worker_place import LINKS_OF_A_START
from support.network import FE1, Network
from support.peer import Peer
from support.process import Process, serving
from support.running import LOOK_AGAIN_S

MOST_TRIES = 40
"""Connections that are opened until one is at the wanted worker: the kernel spreads them evenly."""


def is_running(pid: int) -> bool:
    """Tell whether process *pid* has not ended: it has its files until the last of its threads has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in {"Z", "X"} or len([*Path(f"/proc/{pid}/task").iterdir()]) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class Workers:
    """A front end of two workers in *network*; *name* is that of the front end."""

    network: Network
    server: Process
    name: str = FE1

    async def start_of(self, peer: Peer) -> int:
        """Tell at which start of a worker the link of *peer* is: the number of the link begins with it."""
        remote = f"{peer.address[0]}:{peer.address[1]}"
        [link] = [link for link in await self.server.ask("links") if link["remote"] == remote]
        return int(link["id"][1:]) // LINKS_OF_A_START

    async def phone(self, user: str, worker: int) -> Peer:
        """A phone that has registered at *worker*, which was started once."""
        peer = await self.connected(user, worker)
        assert (await peer.register()).status == 200
        return peer

    async def connected(self, user: str, worker: int, credentials: str | None = None) -> Peer:
        """A phone, or with *credentials* a server, that is connected to *worker*."""
        for _ in range(MOST_TRIES):
            peer = await self.network.peer(self.name, user, credentials)
            await peer.ask(peer.request("OPTIONS", "sip:example.test"))
            if await self.start_of(peer) == worker:
                return peer
            await peer.__aexit__()
        raise AssertionError(f"no connection came to worker {worker}")

    async def workers(self) -> list[dict[str, Any]]:
        """The workers as the status shows them."""
        return list((await self.server.ask("status"))["workers"])

    async def pid(self, worker: int) -> int:
        """The process of *worker*."""
        return next(int(one["pid"]) for one in await self.workers() if one["number"] == worker)

    async def signal(self, worker: int, number: int) -> None:
        """Send a signal to *worker*. After SIGKILL its port has no listener of it any more: a connection would be lost."""
        pid = await self.pid(worker)
        os.kill(pid, number)
        while number == signal.SIGKILL and is_running(pid):
            await asyncio.sleep(LOOK_AGAIN_S)

    async def replaced(self, worker: int) -> None:
        """Wait until *worker* serves after another start."""
        while not any(
            one["number"] == worker and one["starts"] > 1 and one["state"] == "serving" for one in await self.workers()
        ):
            await asyncio.sleep(LOOK_AGAIN_S)


def give_workers(organisation: Organisation, server: str = FE1, count: object = 2, **keys: object) -> None:
    """Give *server* workers, and other *keys* of its entry."""
    document: dict[str, Any] = organisation.document
    for pool in document["pools"]:
        for one in pool["servers"]:
            if one["name"] == server:
                one |= {"workers": count, **keys}
    organisation.write()


@asynccontextmanager
async def two_workers(example: Organisation, *starts: str, **keys: object) -> AsyncIterator[Workers]:
    """Run the first front end with two workers; *starts* are servers in this loop, *keys* go into its entry."""
    give_workers(example, FE1, **keys)
    async with Network((example,), starts=starts) as network, serving(example, FE1) as server:
        yield Workers(network, server)
