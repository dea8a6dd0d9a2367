"""The workers of a server: processes of the run with channels, ports and sockets that they are given by their supervisor."""

from __future__ import annotations

import json
import socket
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import sipmesh.server.worker_service
import sipmesh.server.workers.supervisor
from simulation.processes import CURRENT, Process, within
from simulation.virtual_sockets import VirtualSocket
from sipmesh.server.running.worker_place import WorkerPlace
from sipmesh.server.worker_service import WorkerService
from sipmesh.server.workers.worker_process import ProcessorUse, WorkerProcess
from sipmesh.transport.link.link import Link

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping

    from simulation.network import Network
    from simulation.server import Server
    from simulation.world import World

BEGINS_S: Final = 0.2
"""How long it takes until a new process reads its topology."""

LOOK_S: Final = 0.001
KILLED: Final = -9


class Given:
    """What the supervisor gives a worker: words, each with a socket; the worker reads them one by one."""

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._awake = False

    def settimeout(self, _: float) -> None:
        """Accept: nothing blocks."""

    def put(self, words: bytes, descriptor: int) -> None:
        """Give one thing more."""
        self._waiting.append((words, descriptor))
        self._rouse()

    def take(self) -> tuple[bytes, list[int], int, None]:
        """Return the next thing as `socket.recv_fds` does."""
        if not self._waiting:
            raise BlockingIOError
        words, descriptor = self._waiting.popleft()
        return words, [descriptor], 0, None

    def _rouse(self) -> None:
        if not self._awake:
            self._awake = True
            self._world.outside(self._world.loop.call_later, LOOK_S, self._look)

    def _look(self) -> None:
        self._awake = False
        if self._waiting and self._process.alive:
            self._world.loop.wake(cast("int", self))
            self._rouse()


class VirtualWorker(WorkerProcess):
    """A worker process of the run, as its supervisor sees it."""

    world: World

    def __init__(self, number: int, start: int, facts: Mapping[str, Any]) -> None:
        supervisor = CURRENT.get()
        assert supervisor is not None
        self._supervisor, self._facts = supervisor, facts
        self.process = Process(supervisor.name, supervisor.folder, parent=supervisor, number=number)
        self.given = Given(self.world, self.process)
        self._status: asyncio.Future[int] = self.world.loop.create_future()
        super().__init__(number, start, cast("asyncio.subprocess.Process", None), cast("socket.socket", None))

    @property
    def pid(self) -> int:
        """A number."""
        return 1_000 * self.number + self.start

    @property
    def processor_use(self) -> ProcessorUse:
        """A process of the run waits for no processor."""
        return ProcessorUse(self.world.loop.now, is_waiting=False)

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return not self.process.alive

    @classmethod
    async def spawn(cls, number: int, start: int, facts: Mapping[str, Any], _template: object) -> VirtualWorker:
        """Start a worker; it begins once it has its version."""
        return cls(number, start, facts)

    def give(self, what: Mapping[str, Any], descriptor: int) -> None:
        """Give the worker one of our sockets."""
        if self.process.alive:
            ours = self._supervisor.sockets[descriptor]
            self.given.put(json.dumps(what).encode(), ours.shared_with(self.process).number)

    def give_version(self, version: Mapping[str, Any]) -> None:
        """Give the worker the topology with which it starts, and let it begin."""
        content = json.loads(json.dumps(version))
        loop = self.world.loop
        loop.call_later(BEGINS_S, self._launch, content, context=within(self.process))

    def _launch(self, version: Mapping[str, Any]) -> None:
        facts = self._facts
        place = WorkerPlace(self.number, facts["count"], self.start, facts["incarnation"])
        log = self.world.log_of(f"{facts['name']}#{self.number}")
        given = cast("socket.socket", self.given)
        service = WorkerService(Path(facts["file"]), facts["name"], log, place, version, given)
        self.world.machines.launch_worker(self, service)

    def kill(self, why: str = "") -> None:
        """End it at once."""
        self.killed_for = self.killed_for or why
        self.world.machines.end_worker(self, KILLED)

    def end(self, status: int) -> None:
        """The process has ended."""
        if not self._status.done():
            self._status.set_result(status)

    async def ended(self) -> int:
        """Wait for its end."""
        return await self._status


def replacements(world: World) -> Iterator[tuple[Any, str, Any]]:
    """Give what the product gets in place of processes and of the sockets between them."""
    network: Network = world.network

    def received(given: Given, _size: int, _most: int) -> tuple[bytes, list[int], int, None]:
        return given.take()

    def opened(*args: Any, fileno: int | None = None) -> VirtualSocket:
        process = CURRENT.get()
        assert process is not None
        return process.sockets[fileno] if fileno is not None else network.socket(*args)

    sockets = SimpleNamespace(
        **{**vars(socket), "socket": opened, "socketpair": network.socketpair, "recv_fds": received}
    )
    yield sipmesh.server.workers.supervisor, "socket", sockets
    yield sipmesh.server.worker_service, "socket", sockets
    yield sipmesh.server.workers.supervisor, "WorkerProcess", type("Worker", (VirtualWorker,), {"world": world})
    yield Link, "number_from", lambda _: None  # all processes of the run count on


def workers_of(server: Server) -> list[Server]:
    """Return the workers of a server that serve."""
    return [worker for worker in server.workers if worker.serves]
