"""Two workers of one front end in the loop of a test, each on ports of its own, so that a test chooses the worker."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST
from sipmesh.server.proxy.links.reception import Reception
from sipmesh.server.proxy.siblings.channel import SUPERVISOR
from sipmesh.server.proxy.siblings.remote_link import RemoteLink
from sipmesh.server.proxy.siblings.siblings import Siblings
from sipmesh.server.running.running_server import RunningServer
from sipmesh.server.running.worker_place import WorkerPlace
from sipmesh.server.workers.held_ports import GivenPorts
from sipmesh.transport.limits import Limits
from sipmesh.trust.evidence import LinkKind
from support.network import FE1, UNHURRIED
from support.peer import Peer
from support.telling import Told

ONE, TWO = 1, 2


@dataclass
class Pair:
    """Workers 1 and 2 of the server *name* of *example*."""

    example: Organisation
    name: str = FE1
    limits: Limits = UNHURRIED
    nodes: dict[int, RunningServer] = field(default_factory=dict)
    told: dict[int, Told] = field(default_factory=dict)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    incarnation: int = field(default_factory=lambda: time.time_ns() // 1000)

    def build(self, number: int, start: int) -> RunningServer:
        """Build the process *number*, which ends with the test."""
        told = self.told[number] = Told()
        place = WorkerPlace(number, 2, start, self.incarnation)
        node = self.nodes[number] = RunningServer(self.example.file, self.name, told.log, self.limits, place=place)
        return node

    def start(self, number: int, start: int) -> None:
        """Start one worker on ports that the kernel chooses; *start* is the number of the start."""
        node = self.build(number, start)
        ports = GivenPorts()
        node.outside.ports = ports
        specs = []
        for spec in node.view.listeners:
            sock = socket.socket()
            sock.bind((spec.host, 0))
            ports.give(spec.key, sock)
            specs.append(replace(spec, port=sock.getsockname()[1]))
        node.start(specs)

    def connect(self, one: int = ONE, other: int = TWO) -> None:
        """Connect two processes."""
        first, second = socket.socketpair()
        self.reception(one).join(other, self.nodes[other].branch_prefix, first)
        self.reception(other).join(one, self.nodes[one].branch_prefix, second)

    async def drain(self) -> None:
        """End every process."""
        for node in self.nodes.values():
            await node.drain()

    async def replace(self, worker: int, start: int) -> None:
        """End a worker, and start another one in its place, and notify the other processes."""
        others = [number for number in self.nodes if number != worker]
        await self.nodes[worker].drain()
        self.start(worker, start)
        for number in others:
            self.connect(number, worker)

    def siblings(self, worker: int) -> Siblings:
        """What a worker knows of the other."""
        siblings = self.nodes[worker].siblings
        assert siblings is not None
        return siblings

    def reception(self, worker: int) -> Reception:
        """Where a worker gets what the other sends."""
        reception = self.nodes[worker].reception
        assert reception is not None
        return reception

    def links_elsewhere(self, worker: int) -> list[RemoteLink]:
        """The links of other processes that a worker knows and may use."""
        return list(self.siblings(worker).remote.links.values())

    def address(self, worker: int, kind: LinkKind = LinkKind.CLIENT) -> tuple[str, int]:
        """The address of a port of *worker*."""
        return HOST, next(one.port for one in self.nodes[worker].listening.listeners if one.kind is kind)

    async def peer(self, user: str, worker: int, credentials: str | None = None, source: str | None = None) -> Peer:
        """A peer at the client port of *worker*, or with the *credentials* of a server of ours at its server port."""
        kind = LinkKind.CLIENT if credentials is None else LinkKind.SERVER
        shown = None if credentials is None else self.example.credentials(credentials)
        peer = await Peer.open(self.address(worker, kind), f"{user}@example.test", shown, source)
        return await self.stack.enter_async_context(peer)

    async def phone(self, user: str, worker: int) -> Peer:
        """A phone that has registered at *worker*."""
        peer = await self.peer(user, worker)
        assert (await peer.register()).status == 200
        return peer


@asynccontextmanager
async def pair_of(
    example: Organisation, name: str = FE1, limits: Limits = UNHURRIED, *, supervised: bool = False
) -> AsyncIterator[Pair]:
    """Run two workers that are connected; *name* is that of their server. Only if *supervised* they have a supervisor too."""
    pair = Pair(example, name, limits)
    async with pair.stack:
        pair.stack.push_async_callback(pair.drain)
        for number in (ONE, TWO):
            pair.start(number, number)
        if supervised:
            pair.build(SUPERVISOR, 0)
            for number in (ONE, TWO):
                pair.connect(SUPERVISOR, number)
        pair.connect()
        await asyncio.sleep(0)
        yield pair
