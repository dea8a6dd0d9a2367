"""The machines of a run: servers and their workers start, stop, hang, crash and lose their power."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from simulation.processes import Process, ProcessState, within
from simulation.server import Server
from sipmesh.errors import OperatorError
from sipmesh.server.management.controller import Controller
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.service import Service

if TYPE_CHECKING:
    from simulation.workers import VirtualWorker
    from simulation.world import World
    from sipmesh.server.worker_service import WorkerService

RESTART_S: Final = 2.0
"""How long a supervisor waits before it starts a server again that could not start."""


NEWEST: Final = 0.7
"""How often a server joins again with a grant of the newest version."""


class Machines:
    """Starts and ends the processes of a run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._virtual: dict[Process, VirtualWorker] = {}
        self._chance = random.Random(f"{world.seed} grants")

    def start(self, name: str) -> None:
        """Start a server in a new process, unless it runs already."""
        before = self.world.servers.get(name)
        if before is not None and before.process.alive:
            return
        process = Process(name, str(self.world.folders.of(name)))
        if before is not None:
            process.offset_s, process.drift = before.process.offset_s, before.process.drift
            process.full, process.slow_s = before.process.full, before.process.slow_s
        server = self.world.servers.setdefault(name, Server(name, process))
        server.process, server.stopping = process, False
        self.world.tell(name, "starts")
        self.world.loop.call_soon(self._launch, server, context=within(process))

    def _launch(self, server: Server) -> None:
        service = Service(
            self.world.folders.of(server.name) / "topology.yaml", server.name, self.world.log_of(server.name)
        )
        server.task = self.world.loop.create_task(self._serve(server, service))
        self.world.watch(server.task)

    def begin_again(self, name: str) -> None:
        """Start a server again; a server that still stops is started when it has ended."""
        server = self.world.servers[name]
        if server.stopping and server.process.alive:
            self.world.loop.call_later(0.5, self.begin_again, name)
        elif not server.process.alive:
            self.start(name)

    def survived(self, name: str) -> None:
        """Start a server again that was to die at one of its operations on files, if it has died."""
        self.world.servers[name].process.crash_in = None
        self.begin_again(name)

    async def _serve(self, server: Server, service: Service) -> None:
        """Do what `sipmesh serve` does for one server; a server that cannot start is started again later."""
        process = server.process
        try:
            server.service = service
            service.read()
            service.build()
            await service.start()
        except OperatorError as wrong:
            self.world.tell(server.name, "cannot start", type(wrong).__name__)
            self.world.checks.could_not_start(server, wrong)
            server.service = None
            with suppress(OperatorError):
                await service.close()
            self.world.network.end_of(process, silently=False)
            process.state = ProcessState.DEAD
            again = self.rejoin if server.rolled_back else self.start
            self.world.outside(self.world.loop.call_later, RESTART_S, again, server.name)
            return
        server.node, server.started_at = service._node, self.world.loop.now
        service.begin(None)
        self.world.checks.started(server)
        await service.work()
        await self._stopped(server, service)

    async def _stopped(self, server: Server, service: Service) -> None:
        """Do what `sipmesh serve` does at its end, and look at what is left."""
        server.node = None
        await service.close()
        await asyncio.sleep(0.001)  # tasks that were cancelled end in their next turn
        self.world.checks.stopped(server)
        self.world.outside(self.crash, server.process)

    def crash(self, process: Process, *, silently: bool = False) -> None:
        """Kill a process: its memory is gone. *silently*: no packet tells its peers."""
        if not process.alive:
            return
        self._end_process(process, silently=silently)
        server = self.world.servers[process.name]
        self.world.outside(self.bury, server)
        self.world.troubled("kill")

    def _end_process(self, process: Process, *, silently: bool) -> None:
        if process.alive:
            self.world.tell(process.name, "dies", f"worker {process.number}" if process.number else "")
            process.state = ProcessState.DEAD
            self.world.network.end_of(process, silently=silently)
            self.world.loop.forget(process)

    # Workers

    def launch_worker(self, worker: VirtualWorker, service: WorkerService) -> None:
        """Let a new worker begin; called in its process."""
        server = self.world.servers[worker.process.name]
        made = Server(server.name, worker.process)
        self._virtual[worker.process] = worker
        server.workers = [one for one in server.workers if one.process.alive] + [made]
        made.task = self.world.loop.create_task(self._work(worker, made, service))
        self.world.watch(made.task)

    async def _work(self, worker: VirtualWorker, made: Server, service: WorkerService) -> None:
        made.service = service
        try:
            service.read()
            service.build()
            await service.start()
            made.node = service._node
            service.begin(None)
            await service.work()
        except OperatorError as wrong:
            self.world.tell(made.name, "worker fails", str(wrong))
        finally:
            made.node = None
            self.world.outside(self.end_worker, worker, 0)

    def kill_worker(self, worker: Server) -> None:
        """Kill a worker, as the kernel does without memory."""
        self._virtual[worker.process].kill()

    def end_worker(self, worker: VirtualWorker, status: int) -> None:
        """End the process of a worker."""
        for server in self.world.servers.values():
            for one in [one for one in server.workers if one.process is worker.process]:
                server.graveyard.append((one.process, one.service, one.node, one.task))
                server.workers.remove(one)
        self._end_process(worker.process, silently=False)
        if worker._supervisor.alive:
            self.world.loop.call_soon(worker.end, status, context=within(worker._supervisor))
        self.world.troubled("kill")

    def lose_power(self, name: str) -> None:
        """Kill a server and its machine: what was not durable is gone."""
        for worker in self.world.servers[name].workers:
            self._end_process(worker.process, silently=True)
        self.crash(self.world.servers[name].process, silently=True)
        folder = self.world.folders.of(name)
        changed = self.world.disk.lose_power(folder) + self.world.databases.lose_power(folder)
        self.world.tell(name, "loses power", f"{changed} files")

    def bury(self, server: Server) -> None:
        """Close the databases of a dead process, as the kernel does."""
        service, node = server.service, server.node
        server.graveyard.append((server.process, service, node, server.task))
        server.service = server.node = server.task = None
        if node is not None:
            with suppress(Exception):
                node.users.close()
        plane = getattr(service, "control_plane", None)
        if isinstance(plane, Controller):
            with suppress(Exception):
                plane.management_db.close()

    def stop(self, name: str) -> None:
        """Send SIGTERM to a server."""
        server = self.world.servers[name]
        if server.serves and server.service is not None:
            self.world.tell(name, "stops")
            server.stopping = True
            self.world.inside(server, server.service.stop)

    def hang(self, name: str) -> None:
        """Stop a server as SIGSTOP does."""
        process = self.world.servers[name].process
        if process.state is ProcessState.RUNNING:
            process.state = ProcessState.HUNG
            self.world.tell(name, "hangs")

    def resume(self, name: str) -> None:
        """Let a hung server continue."""
        process = self.world.servers[name].process
        if process.state is ProcessState.HUNG:
            process.state, process.hung_until = ProcessState.RUNNING, self.world.loop.now
            self.world.tell(name, "continues")

    def rejoin(self, name: str) -> None:
        """Join a server again, as `sipmesh join` does, and start it; the grant may be of an earlier version than the newest."""
        leader = self.world.leader
        if leader is None:
            self.world.loop.call_later(RESTART_S, self.rejoin, name)
            return
        folder, documents = self.world.folders.of(name), self.world.folders.of(leader[0].name)
        draw, history = self._chance.random(), leader[1].management_db.history
        try:
            anchors = list(DocumentStore(documents, leader[0].name).load().authority.anchors)
            number = leader[1].newest if draw < NEWEST else 1 + int(leader[1].newest * (draw - NEWEST) / (1 - NEWEST))
            DocumentStore(folder, name).begin(history.get(number).jws, anchors)
        except OperatorError as wrong:
            self.world.tell(name, "cannot join", str(wrong))
        else:
            self.world.tell(name, "joins again")
            self.world.leaders.rejoined(name)
            self.world.accounts.began_again(name)
            self.world.servers[name].rolled_back = False
        self.start(name)
