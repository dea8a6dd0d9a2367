"""One run: two organisations of servers, their phones and operators, the network between them, and what has gone wrong."""

from __future__ import annotations

import asyncio
import copy
import gc
import random
import threading
import traceback
from contextlib import ExitStack
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
from simulation.machines import Machines
from simulation.messages import VirtualMessages
from simulation.network import Network
from simulation.operations import Operations
from simulation.organisations import (
    BOT_DEVICE,
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
from simulation.processes import CURRENT, ProcessState, outside, within
from simulation.registrations import Registrations
from simulation.sizes import Sizes
from simulation.stored import StoredMessages
from simulation.strangers import Strangers
from simulation.tls import ders
from simulation.trace import Trace
from simulation.traffic import Traffic
from simulation.workers import replacements, workers_of
from sipmesh.errors import OperatorError
from sipmesh.routing.proxy.locate import Srv
from sipmesh.server.agent.document_applier import DocumentApplier
from sipmesh.server.log import Log
from sipmesh.server.management.controller import Controller
from sipmesh.server.proxy.dispatch import Dispatch
from sipmesh.server.proxy.login.user_stores import NoLocations
from sipmesh.server.replication.fencing import HighestFencing
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

    from simulation.injector import Injector
    from simulation.server import Server
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.sip.message import Response
    from sipmesh.storage.location_service.locations import Locations
    from sipmesh.storage.message_queue import MessageQueue
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.link.link import Link


COLLECTED_AFTER: Final = (50_000, 20, 50)
"""When garbage is collected in a run: as seldom as memory allows, since that takes a tenth of its time otherwise."""


class World:
    """All that is in one run of *seed*; use it as a context."""

    def __init__(self, folders: Folders, seed: int, *, keep_trace: bool = False) -> None:
        self.folders, self.seed = folders, seed
        self.chance = random.Random(f"{seed} order")
        self.trace = Trace(keep_trace)
        self.loop = VirtualLoop(random.Random(f"{seed} schedule"), self._failed)
        self.network = Network(self.loop, random.Random(f"{seed} network"))
        self.machines = Machines(self)
        self.disk = Disk(random.Random(f"{seed} disk"), self.machines.crash)
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
        self.checks, self.traffic, self.operations = Checks(self), Traffic(self), Operations(self)
        self.stored, self.leaders, self.documents = StoredMessages(self), Leaders(self), Documents(self)
        self.strangers = Strangers(self)
        self.accounts, self.registrations, self.sizes = Accounts(self), Registrations(self), Sizes(self)
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
            self.machines.bury(server)
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

        def late_s() -> float:
            return self.databases.late.get(view.name, 0.0)

        return VirtualMessages(view.loaded.messages_url, self.loop, must_answer, late_s)

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

    # Phones

    def populate(self) -> None:
        """Start all servers and all phones."""
        for name in SERVERS:
            self.machines.start(name)
        for user, number in DEVICES:
            servers = (FE1, FE2) if USERS[user] == POOL else (FE3, FE4)
            name, aor, order = f"{user}{number}", f"sip:{user}@{EXAMPLE}", 1 if number % 2 else -1
            self._add(name, aor, f"{user}-secret", servers[::order], stays=user in STAY)
        self._add("erin1", f"sip:erin@{PARTNER}", "erin-secret", (PARTNER_FE,))
        own = self.folders.example / "servers"
        chain = ders(Identity.load(own / f"{BOT}.pem", own / f"{BOT}.key").chain)
        self._add(BOT_DEVICE, f"sip:news@{SPOKEN_FOR}", "", (FE3, FE4), chain)
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
