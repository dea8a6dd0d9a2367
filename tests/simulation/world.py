"""One run: two organisations of servers, their phones and operators, the network between them, and what has gone wrong."""

from __future__ import annotations

import asyncio
import copy
import gc
import random
import threading
import traceback
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Self
from unittest.mock import patch

import sipmesh.server.running.server_stores
from simulation.accounts import Accounts
from simulation.checks import Checks
from simulation.databases import Databases
from simulation.disk import Disk
from simulation.documents import Documents
from simulation.leaders import Leaders
from simulation.locations import PoolStore, VirtualLocations
from simulation.loop import VirtualLoop
from simulation.messages import VirtualMessages
from simulation.network import Network
from simulation.operations import Operations
from simulation.organisations import (
    DEVICES,
    MANAGERS,
    MESSAGES,
    SERVERS,
    SPOKEN_FOR,
    STAY,
    USERS,
    Folders,
    address_of,
)
from simulation.patches import TableResolver, virtual_machine, wall_clock
from simulation.phone import Phone
from simulation.processes import CURRENT, Process, ProcessState, outside, within
from simulation.stored import StoredMessages
from simulation.tls import ders
from simulation.trace import Trace
from simulation.traffic import Traffic
from simulation.workers import VirtualWorker, replacements, workers_of
from sipmesh.errors import OperatorError
from sipmesh.routing.proxy.locate import Srv
from sipmesh.server.agent.document_applier import DocumentApplier
from sipmesh.server.log import Log
from sipmesh.server.management.controller import Controller
from sipmesh.server.proxy.dispatch import Dispatch
from sipmesh.server.proxy.login.user_stores import NoLocations
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.replication.fencing import HighestFencing
from sipmesh.server.service import Service
from sipmesh.sip.message import Request
from sipmesh.transport.tls.contexts import Identity
from sipmesh.trust.role import Role
from support.network import (
    BOT,
    EDGE,
    EDGES,
    EXAMPLE,
    FE1,
    FE2,
    FE3,
    FE4,
    PARTNER,
    PARTNER_EDGE,
    PARTNER_EDGES,
    PARTNER_FE,
    POOL,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulation.faults import Injector
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.server.worker_service import WorkerService
    from sipmesh.sip.message import Response
    from sipmesh.storage.location_service.locations import Locations
    from sipmesh.storage.message_queue import MessageQueue
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.link.link import Link


COLLECTED_AFTER: Final = (50_000, 20, 50)
"""When garbage is collected in a run: as seldom as memory allows, since that takes a tenth of its time otherwise."""

RESTART_S: Final = 2.0
"""How long a supervisor waits before it starts a server again that could not start."""


@dataclass(eq=False)
class Server:
    """One server over all its runs; *service* and *node* are of the present run, None while it is down.

    *stopping*: the present run was ordered to stop. *started_at* is when it began to serve. *highest* is the newest version that
    it has had in force. *rolled_back*: an older state was put into its folder, so that it may refuse to start. *graveyard* keeps
    what dead processes have left until the run is over: the garbage collector would run their handlers at a moment that no seed
    decides.
    """

    name: str
    process: Process
    service: Service | None = None
    node: RunningServer | None = None
    task: asyncio.Task[None] | None = None
    stopping: bool = False
    highest: int = 0
    started_at: float = 0.0
    rolled_back: bool = False
    workers: list[Server] = field(default_factory=list)
    graveyard: list[object] = field(default_factory=list)

    @property
    def serves(self) -> bool:
        """Whether it runs, is not hung, and was not told to stop."""
        return self.node is not None and not self.stopping and self.process.state is ProcessState.RUNNING


class World:
    """All that is in one run of *seed*; use it as a context."""

    def __init__(self, folders: Folders, seed: int, *, keep_trace: bool = False) -> None:
        self.folders, self.seed = folders, seed
        self.chance = random.Random(f"{seed} order")
        self.trace = Trace(keep_trace)
        self.loop = VirtualLoop(random.Random(f"{seed} schedule"), self._failed)
        self.network = Network(self.loop, random.Random(f"{seed} network"))
        self.disk = Disk(random.Random(f"{seed} disk"), self.crash)
        self.databases = Databases(
            folders.databases, lambda: wall_clock(self.loop.now), lambda wall: float(self.outside(wall)), count(1_000)
        )
        self.violations: list[str] = []
        self.servers: dict[str, Server] = {}
        self.phones: list[Phone] = []
        self.stores: dict[str, PoolStore] = {}
        self.document: dict[str, Any] = {}
        self._troubled_at: dict[str, float] = {}
        self._host_troubled_at: dict[str, float] = {}
        self._marks = 0
        self._virtual: dict[Process, VirtualWorker] = {}
        self.checks, self.traffic, self.operations = Checks(self), Traffic(self), Operations(self)
        self.stored, self.leaders, self.documents = StoredMessages(self), Leaders(self), Documents(self)
        self.accounts = Accounts(self)
        self.is_settling = False
        self.injector: Injector | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        me = threading.get_ident()
        entropy = random.Random(f"{self.seed} entropy")
        self.folders.renew()
        self.document = copy.deepcopy(self.folders.document)
        self._stack.enter_context(
            virtual_machine(self.network, self.disk, self.databases, entropy, lambda: threading.get_ident() == me)
        )
        self._stack.enter_context(patch.object(Dispatch, "arrived", self._told(Dispatch.arrived)))
        for target, name, replacement in replacements(self):
            self._stack.enter_context(patch.object(target, name, replacement))
        self._stack.enter_context(patch.object(HighestFencing, "accept", self.leaders.told(HighestFencing.accept)))
        self._stack.enter_context(
            patch.object(DocumentApplier, "receive", self.documents.told(DocumentApplier.receive))
        )
        self._stack.enter_context(
            patch.object(sipmesh.server.running.server_stores, "open_locations", self._open_locations)
        )
        self._stack.enter_context(
            patch.object(sipmesh.server.running.server_stores, "open_messages", self._open_messages)
        )
        self.databases.committed = self.leaders.has_written
        self._stack.callback(gc.set_threshold, *gc.get_threshold())
        gc.set_threshold(*COLLECTED_AFTER)
        self._stack.callback(self.databases.end)
        self._stack.callback(self._close_stores)
        for server in (*SERVERS, BOT):
            self.network.name(server, address_of(server))
        TableResolver.records = {
            (f"_sipfederationtls._tcp.{EXAMPLE}", "SRV"): [Srv(10, 0, 5063, EDGES)],
            (EDGES, "A"): [address_of(EDGE)],
            (PARTNER_EDGES, "A"): [address_of(PARTNER_EDGE)],
        }
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers.values():
            self._bury(server)
            for task in server.process.tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            for worker in server.workers:
                for task in worker.process.tasks:
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                worker.process.state = ProcessState.DEAD
            server.process.state = ProcessState.DEAD
        self._stack.close()

    def store(self, pool: str) -> PoolStore:
        """Return the bindings of a pool."""
        if pool not in self.stores:
            self.stores[pool] = PoolStore.open(self.folders.databases / f"{pool}.bindings")
        return self.stores[pool]

    def _close_stores(self) -> None:
        for store in self.stores.values():
            store.close()

    def _open_locations(self, view: ServerView, *_: object) -> Locations:
        if view.role is not Role.FRONT_END:
            return NoLocations()
        return VirtualLocations(self.store(view.pool.name), self.loop)

    def _open_messages(self, view: ServerView, *_: object) -> MessageQueue:
        def must_answer() -> None:
            if self.databases.is_unreachable(MESSAGES):
                raise OperatorError("the stored messages cannot be used: connection failed")

        return VirtualMessages(view.loaded.messages_url, self.loop, must_answer)

    # What happens

    def tell(self, where: str, kind: str, what: str = "") -> None:
        """Add an event to the trace."""
        self.trace.add(self.loop.now, where, kind, what)

    def violated(self, rule: str, what: str) -> None:
        """Note that an invariant does not hold."""
        text = f"{rule}: {what}"
        self.tell("world", "VIOLATION", text)
        self.violations.append(f"{self.loop.now:.3f} s {text}")

    def _failed(self, where: str, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.violated("no exception reaches the loop", f"{where}: {context.get('message')}: {error!r}")
        if isinstance(error, Exception):
            self.tell(where, "traceback", "".join(traceback.format_exception(error)))

    def _told(
        self, arrived: Callable[[Dispatch, Link, Request | Response], None]
    ) -> Callable[[Dispatch, Link, Request | Response], None]:
        """Tell the trace of each message that a server handles."""

        def tell(dispatch: Dispatch, link: Link, message: Request | Response) -> None:
            what = message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"
            process = CURRENT.get()
            where = process.name if process is not None else ""
            self.tell(
                where, "handles", f"{what} {message.call_id} from {link.peer_name or link.remote[0]} on {link.id}"
            )
            arrived(dispatch, link, message)

        return tell

    def mark(self, phone: Phone) -> str:
        """Return a mark for the next message of a phone."""
        self._marks += 1
        return f"{phone.name}-{self._marks}"

    def address(self, server: str) -> str:
        """Return the address of a server."""
        return address_of(server)

    def troubled(self, kind: str) -> None:
        """Note that a fault of *kind* is at work now."""
        self._troubled_at[kind] = self.loop.now

    def troubled_host(self, host: str) -> None:
        """Note that something is wrong with a host, or with its network, now."""
        self._host_troubled_at[host] = self.loop.now

    def calm_of(self, *hosts: str) -> float:
        """Return the seconds since something was wrong with one of *hosts*, or with its network."""
        return self.loop.now - max((self._host_troubled_at.get(host, 0.0) for host in hosts), default=0.0)

    def up_since(self, server: str) -> float:
        """Return the loop time at which the present process of a server has started to serve."""
        return self.servers[server].started_at

    def has_happened(self, kind: str) -> bool:
        """Tell whether there was a fault of *kind*."""
        return kind in self._troubled_at

    def troubled_at(self, kinds: frozenset[str] | None = None) -> float:
        """Return the loop time at which a fault of one of *kinds*, or of any kind, was at work last; before all time if never."""
        return max((at for kind, at in self._troubled_at.items() if kinds is None or kind in kinds), default=-1e9)

    # Servers

    def start(self, name: str) -> None:
        """Start a server in a new process, unless it runs already."""
        before = self.servers.get(name)
        if before is not None and before.process.alive:
            return
        process = Process(name, str(self.folders.of(name)))
        if before is not None:
            process.offset_s, process.drift = before.process.offset_s, before.process.drift
            process.full, process.slow_s = before.process.full, before.process.slow_s
        server = self.servers.setdefault(name, Server(name, process))
        server.process, server.stopping = process, False
        self.tell(name, "starts")
        self.loop.call_soon(self._launch, server, context=within(process))

    def _launch(self, server: Server) -> None:
        service = Service(self.folders.of(server.name) / "topology.yaml", server.name, self.log_of(server.name))
        server.task = self.loop.create_task(self._serve(server, service))
        self.watch(server.task)

    async def _serve(self, server: Server, service: Service) -> None:
        """Do what `sipmesh serve` does for one server; a server that cannot start is started again later."""
        process = server.process
        try:
            server.service = service
            service.read()
            service.build()
            await service.start()
        except OperatorError as wrong:
            self.tell(server.name, "cannot start", type(wrong).__name__)
            self.checks.could_not_start(server, wrong)
            server.service = None
            with suppress(OperatorError):
                await service.close()
            self.network.end_of(process, silently=False)
            process.state = ProcessState.DEAD
            again = self.rejoin if server.rolled_back else self.start
            self.outside(self.loop.call_later, RESTART_S, again, server.name)
            return
        server.node, server.started_at = service._node, self.loop.now
        service.begin(None)
        self.checks.started(server)
        await service.work()
        await self._stopped(server, service)

    async def _stopped(self, server: Server, service: Service) -> None:
        """Do what `sipmesh serve` does at its end, and look at what is left."""
        server.node = None
        await service.close()
        await asyncio.sleep(0.001)  # tasks that were cancelled end in their next turn
        self.checks.stopped(server)
        self.outside(self.crash, server.process)

    def outside(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call something in no process, from inside of one."""
        return outside().run(call, *args)

    def inside(self, server: Server, call: Callable[..., Any], *args: Any) -> Any:
        """Call something in the process of a server, as what runs on its machine."""
        return within(server.process).run(call, *args)

    def watch(self, task: asyncio.Task[Any]) -> None:
        """Report an exception of *task* that was not handled."""
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.loop.call_exception_handler({"message": f"{task!r} failed", "exception": error})

    def crash(self, process: Process, *, silently: bool = False) -> None:
        """Kill a process: its memory is gone. *silently*: no packet tells its peers."""
        if not process.alive:
            return
        self._end_process(process, silently=silently)
        server = self.servers[process.name]
        self.outside(self._bury, server)
        self.troubled("kill")

    def _end_process(self, process: Process, *, silently: bool) -> None:
        if process.alive:
            self.tell(process.name, "dies", f"worker {process.number}" if process.number else "")
            process.state = ProcessState.DEAD
            self.network.end_of(process, silently=silently)
            self.loop.forget(process)

    # Workers

    def launch_worker(self, worker: VirtualWorker, service: WorkerService) -> None:
        """Let a new worker begin; called in its process."""
        server = self.servers[worker.process.name]
        made = Server(server.name, worker.process)
        self._virtual[worker.process] = worker
        server.workers = [one for one in server.workers if one.process.alive] + [made]
        made.task = self.loop.create_task(self._work(worker, made, service))
        self.watch(made.task)

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
            self.tell(made.name, "worker fails", str(wrong))
        finally:
            made.node = None
            self.outside(self.end_worker, worker, 0)

    def kill_worker(self, worker: Server) -> None:
        """Kill a worker, as the kernel does without memory."""
        self._virtual[worker.process].kill()

    def end_worker(self, worker: VirtualWorker, status: int) -> None:
        """End the process of a worker."""
        for server in self.servers.values():
            for one in [one for one in server.workers if one.process is worker.process]:
                server.graveyard.append((one.process, one.service, one.node, one.task))
                server.workers.remove(one)
        self._end_process(worker.process, silently=False)
        if worker._supervisor.alive:
            self.loop.call_soon(worker.end, status, context=within(worker._supervisor))
        self.troubled("kill")

    def lose_power(self, name: str) -> None:
        """Kill a server and its machine: what was not durable is gone."""
        for worker in self.servers[name].workers:
            self._end_process(worker.process, silently=True)
        self.crash(self.servers[name].process, silently=True)
        folder = self.folders.of(name)
        changed = self.disk.lose_power(folder) + self.databases.lose_power(folder)
        self.tell(name, "loses power", f"{changed} files")

    def _bury(self, server: Server) -> None:
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
        server = self.servers[name]
        if server.serves and server.service is not None:
            self.tell(name, "stops")
            server.stopping = True
            self.inside(server, server.service.stop)

    def hang(self, name: str) -> None:
        """Stop a server as SIGSTOP does."""
        process = self.servers[name].process
        if process.state is ProcessState.RUNNING:
            process.state = ProcessState.HUNG
            self.tell(name, "hangs")

    def resume(self, name: str) -> None:
        """Let a hung server continue."""
        process = self.servers[name].process
        if process.state is ProcessState.HUNG:
            process.state, process.hung_until = ProcessState.RUNNING, self.loop.now
            self.tell(name, "continues")

    def log_of(self, name: str) -> Log:
        def keep(level: str, told: dict[str, Any]) -> None:
            event = str(told.get("event"))
            self.tell(
                name,
                "log",
                f"{level} {event} {told.get('code') or ''} {told.get('peer') or ''} {told.get('why') or ''}",
            )

        return Log(keep)

    def controllers(self) -> Iterator[tuple[Server, Controller]]:
        """The management servers that serve."""
        for name in MANAGERS:
            server = self.servers[name]
            plane = server.service.control_plane if server.serves and server.service is not None else None
            if isinstance(plane, Controller):
                yield server, plane

    @property
    def leader(self) -> tuple[Server, Controller] | None:
        """The management server that leads, as it says, and has taken over; None if there is none."""
        leading = (pair for pair in self.controllers() if pair[1].leadership.leads and pair[1].leadership.is_ready)
        return next(leading, None)

    @property
    def management(self) -> Controller | None:
        """The controller that leads."""
        leader = self.leader
        return leader[1] if leader is not None else None

    def nodes(self) -> Iterator[tuple[Server, RunningServer]]:
        """All servers that serve."""
        for server in self.servers.values():
            if server.serves and server.node is not None:
                yield server, server.node
            for worker in workers_of(server):
                if worker.node is not None:
                    yield worker, worker.node

    @property
    def wall_s(self) -> float:
        """The time of an exact wall clock, in seconds since 1970."""
        return float(self.outside(wall_clock, self.loop.now))

    def rejoin(self, name: str) -> None:
        """Join a server again with the version of the leader, as `sipmesh join` does, and start it."""
        leader = self.leader
        if leader is None:
            self.loop.call_later(RESTART_S, self.rejoin, name)
            return
        folder, documents = self.folders.of(name), DocumentStore(self.folders.of(leader[0].name), leader[0].name)
        try:
            DocumentStore(folder, name).begin(documents.document(), list(documents.load().authority.anchors))
        except OperatorError as wrong:
            self.tell(name, "cannot join", str(wrong))
        else:
            self.tell(name, "joins again")
            self.leaders.rejoined(name)
            self.accounts.began_again(name)
            self.servers[name].rolled_back = False
        self.start(name)

    # Phones

    def populate(self) -> None:
        """Start all servers and all phones."""
        for name in SERVERS:
            self.start(name)
        for user, number in DEVICES:
            servers = (FE1, FE2) if USERS[user] == POOL else (FE3, FE4)
            name, aor, order = f"{user}{number}", f"sip:{user}@{EXAMPLE}", 1 if number % 2 else -1
            self._add(name, aor, f"{user}-secret", servers[::order], stays=user in STAY)
        self._add("erin1", f"sip:erin@{PARTNER}", "erin-secret", (PARTNER_FE,))
        own = self.folders.example / "servers"
        chain = ders(Identity.load(own / f"{BOT}.pem", own / f"{BOT}.key").chain)
        self._add("bot1", f"sip:news@{SPOKEN_FOR}", "", (FE1, FE2), chain)
        for number, phone in enumerate(self.phones):
            self.loop.call_later(1.0 + 0.1 * number, phone.connect)

    def _add(
        self,
        name: str,
        aor: str,
        password: str,
        servers: tuple[str, ...],
        chain: tuple[bytes, ...] = (),
        *,
        stays: bool = False,
    ) -> None:
        self.phones.append(Phone(self, name, aor, password, servers, chain, stays=stays))

    # Time

    def run(self, seconds: float) -> None:
        """Run for so long."""
        until = self.loop.now + seconds
        while self.loop.now < until and not self.violations:
            self.loop.run(min(until, self.loop.now + 1.0))
            self.checks.each_second()
