"""The faults of a run: drawn from the seed before it begins, so that a run without one of them can be tried."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulation.organisations import (
    DEVICES,
    FRONT_ENDS,
    MANAGED,
    MANAGEMENT,
    MANAGERS,
    MESSAGES,
    SERVERS,
    USERS,
    WORKERS,
)
from simulation.processes import ProcessState
from support.network import EDGE, FE1, FE2, FE3, FE4, PARTNER_EDGE, PARTNER_FE, POOL, POOL2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulation.world import Server, World

WAYS: Final = (
    *((manager, server) for manager in MANAGERS for server in (FE1, FE2, FE3, FE4)),
    *((FE1, FE2), (FE3, FE4), (FE1, FE3), (FE2, FE4), (FE1, EDGE), (FE2, EDGE), (EDGE, PARTNER_EDGE)),
    (PARTNER_EDGE, PARTNER_FE),
)
"""Where servers have links with each other."""

MOST_STEP_S: Final = 200.0
"""How far a wall clock is set, at most, and mostly less: less than what is left of a registration when it is refreshed."""


LONGER_S: Final = 9.0
"""How long after that it may have a full disk."""

MOST_OPERATIONS: Final = 24
"""How many operations on files it takes to store a version."""

STORES_S: Final = 3.0
"""Within this time a version or changed users arrive."""

WRONG_S: Final = 3.0
"""How long a clock is wrong while something is changed."""

ALONE_S: Final = 12.0
"""How long a front end that begins again with a full disk reaches no management server, at least."""

TAKEN_OVER_S: Final = 8.0
"""How long the leader of management hangs at least: another server leads meanwhile."""

SLOW_S: Final = 8.0
"""How much later a slow store answers, at most: later than a server waits for it."""

JUMP_S: Final = 7_200.0
"""How far a wall clock jumps, at most: further than registrations and nonces live."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: *kind* is a method of `Injector`, *one* and *other* are hosts, *size* is drawn from 0 to 1."""

    kind: str
    at: float
    lasts_s: float
    one: str
    other: str = ""
    size: float = 0.0

    def __str__(self) -> str:
        other = f" {self.other}" if self.other else ""
        return f"{self.at:.2f} s: {self.kind} {self.one}{other} for {self.lasts_s:.2f} s, size {self.size:.3f}"


LINK_FAULTS: Final = ("reset", "cut", "cut_one_way", "slow")
SERVER_FAULTS: Final = (
    *("kill", "kill_at_write", "power", "hang", "restart"),
    *("step_clock", "jump_clock", "drift", "fill_disk", "slow_store", "descriptors"),
)
DATABASE_FAULTS: Final = ("database_down", "cut_database")
OPERATIONS: Final = ("publish", "publish", "remove_user", "change_password", "revoke")
ALL_KINDS: Final = (
    *(*LINK_FAULTS, *SERVER_FAULTS, *DATABASE_FAULTS, "lock_store", "deaf_phone", *OPERATIONS),
    *("hang_leader", "outage", "older_state", "older_database", "kill_worker", "hang_worker"),
    *("late_document", "publish_to_full_disk", "kill_worker_again", "revoke_and_publish", "change_and_kill"),
    *("cut_and_kill", "store_and_die", "change_on_filling_disk", "act_with_wrong_clock"),
)

LOSE_LINKS: Final = frozenset(
    {*LINK_FAULTS, "kill", "kill_at_write", "power", "hang", "restart", "descriptors", "revoke"}
    | {"outage", "hang_leader", "older_state", "kill_worker", "hang_worker"}
    | {"kill_worker_again", "revoke_and_publish", "change_and_kill"}
    | {"cut_and_kill", "store_and_die", "change_on_filling_disk", "act_with_wrong_clock"}
)
"""What may end a link between servers, or keep it from being opened in time."""


MOMENTS: Final = frozenset(
    {"late_document", "publish_to_full_disk", "kill_worker_again", "revoke_and_publish", "change_and_kill"}
    | {"cut_and_kill", "store_and_die", "change_on_filling_disk", "act_with_wrong_clock"}
)
"""Two events within one second, or a document that comes late: what the profiles draw that are about it."""

ON_REQUEST: Final = frozenset({"jump_clock", "older_database"}) | MOMENTS
"""What is drawn only on request; the product keeps less of its promises under the first two (docs/simulation.md)."""

STOPS_MANAGEMENT: Final = frozenset({"kill", "kill_at_write", "power", "restart", "outage"})
"""What ends a management server, which cannot start with a database that lacks its last version."""

KINDS: Final = tuple(kind for kind in ALL_KINDS if kind not in ON_REQUEST)


@dataclass(frozen=True, slots=True)
class FaultSettings:
    """Which faults a run may have: up to *most*, each of one of *kinds*."""

    most: int = 18
    kinds: tuple[str, ...] = KINDS


def plan(seed: int, begin: float, end: float, settings: FaultSettings) -> list[Fault]:
    """Draw the faults of a run between two loop times; all of them are over at *end*."""
    chance = random.Random(f"{seed} faults")
    count = chance.randint(settings.most // 2, settings.most)
    found = [_draw(chance, chance.choice(settings.kinds), begin, end) for _ in range(count)]
    return sorted(found, key=lambda fault: fault.at)


def _draw(chance: random.Random, kind: str, begin: float, end: float) -> Fault:
    at = begin + (end - begin) * chance.random()
    lasts_s = min(end - at, 45.0 * chance.random() ** 2)
    phone = chance.choice(DEVICES)
    one, other = chance.choice(WAYS) if chance.random() < 0.7 else (f"{phone[0]}{phone[1]}", "")
    server, size = chance.choice(SERVERS), chance.random()
    if kind in LINK_FAULTS:
        if not other:
            other = chance.choice((FE1, FE2) if USERS[phone[0]] == POOL else (FE3, FE4))
        if chance.random() < 0.5:
            one, other = other, one
        return Fault(kind, at, lasts_s, one, other, size)
    if kind in DATABASE_FAULTS:
        name = chance.choice((MANAGEMENT, MESSAGES, MESSAGES))
        host = chance.choice(MANAGERS if name == MANAGEMENT else FRONT_ENDS)
        return Fault(kind, at, min(lasts_s, 20.0), host, name, size)
    of_kind: dict[str, Sequence[str]] = {
        "lock_store": (POOL, POOL2),
        "deaf_phone": (f"{phone[0]}{phone[1]}",),
        "older_state": MANAGED,
        "kill_worker": tuple(WORKERS),
        "hang_worker": tuple(WORKERS),
        "kill_worker_again": tuple(WORKERS),
        "late_document": MANAGED,
        "publish_to_full_disk": MANAGED,
        "change_and_kill": tuple(USERS),
        "change_on_filling_disk": tuple(USERS),
        "store_and_die": MANAGED,
        "cut_and_kill": FRONT_ENDS,
        "act_with_wrong_clock": FRONT_ENDS,
        "slow_store": (*FRONT_ENDS, *SERVERS),
        **dict.fromkeys(OPERATIONS, tuple(USERS)),
    }
    if kind in of_kind:
        return Fault(kind, at, 0.0 if kind in OPERATIONS else lasts_s, chance.choice(of_kind[kind]), "", size)
    if kind == "hang_leader":
        lasts_s = min(end - at, TAKEN_OVER_S + 10.0 * size)
    if kind == "fill_disk" or (kind == "kill_at_write" and size < 0.8):
        server = chance.choice(MANAGED)
    return Fault(kind, at, lasts_s, server, "", size)


class Injector:
    """Carries out the faults of a run, and ends each of them."""

    def __init__(self, world: World, faults: list[Fault]) -> None:
        self.world, self.faults = world, faults
        self.active: dict[Fault, None] = {}
        self._chance = random.Random(f"{world.seed} injector")

    def schedule(self) -> None:
        """Plan all faults."""
        for fault in self.faults:
            self.world.loop.call_at(fault.at, self._begin, fault)

    def _begin(self, fault: Fault) -> None:
        if self.world.operations.is_older and fault.one in MANAGERS and fault.kind in STOPS_MANAGEMENT:
            return
        self.world.tell("fault", fault.kind, str(fault))
        self._note(fault)
        self.active[fault] = None
        end: Callable[[], None] | None = getattr(self, f"_{fault.kind}")(fault)
        self.world.loop.call_at(fault.at + fault.lasts_s, self._end, fault, end)

    def _end(self, fault: Fault, end: Callable[[], None] | None) -> None:
        if end is not None:
            end()
            self.world.tell("fault", "over", str(fault))
        self.active.pop(fault, None)
        self._note(fault)

    # Links

    def _reset(self, fault: Fault) -> None:
        found = self.world.network.between(fault.one, fault.other) + self.world.network.between(fault.other, fault.one)
        if found:
            self.world.network.reset(found[int(len(found) * fault.size)])

    def _cut(self, fault: Fault) -> Callable[[], None]:
        self.world.network.cut_between(fault.one, fault.other, both=True)
        return lambda: self.world.network.heal(fault.one, fault.other)

    def _cut_one_way(self, fault: Fault) -> Callable[[], None]:
        self.world.network.cut_between(fault.one, fault.other, both=False)
        return lambda: self.world.network.heal(fault.one, fault.other)

    def _slow(self, fault: Fault) -> Callable[[], None]:
        ways = ((fault.one, fault.other), (fault.other, fault.one))
        for way in ways:
            self.world.network.slow[way] = 3.0 * fault.size

        def end() -> None:
            for way in ways:
                self.world.network.slow.pop(way, None)

        return end

    # Servers

    def _kill(self, fault: Fault) -> Callable[[], None]:
        self.world.crash(self.world.servers[fault.one].process)
        return lambda: self._begin_again(fault.one)

    def _begin_again(self, name: str) -> None:
        """Start a server again; a server that still stops is started when it has ended."""
        server = self.world.servers[name]
        if server.stopping and server.process.alive:
            self.world.loop.call_later(0.5, self._begin_again, name)
        elif not server.process.alive:
            self.world.start(name)

    def _kill_at_write(self, fault: Fault) -> Callable[[], None]:
        """Let a server die at one of its next operations on files."""
        self.world.servers[fault.one].process.crash_in = 1 + int(20 * fault.size)
        return lambda: self._survived(fault.one)

    def _survived(self, name: str) -> None:
        self.world.servers[name].process.crash_in = None
        self._begin_again(name)

    def _power(self, fault: Fault) -> Callable[[], None]:
        self.world.lose_power(fault.one)
        return lambda: self._begin_again(fault.one)

    def _hang(self, fault: Fault) -> Callable[[], None]:
        self.world.hang(fault.one)
        return lambda: self.world.resume(fault.one)

    def _restart(self, fault: Fault) -> Callable[[], None]:
        """Stop a server as an operator does, and start it again."""
        self.world.stop(fault.one)
        return lambda: self._begin_again(fault.one)

    def _step_clock(self, fault: Fault) -> Callable[[], None]:
        process = self.world.servers[fault.one].process
        process.offset_s = (2 * fault.size - 1) ** 3 * MOST_STEP_S
        return lambda: setattr(self.world.servers[fault.one].process, "offset_s", 0.0)

    def _jump_clock(self, fault: Fault) -> Callable[[], None]:
        process = self.world.servers[fault.one].process
        process.offset_s = (2 * fault.size - 1) * JUMP_S
        return lambda: setattr(self.world.servers[fault.one].process, "offset_s", 0.0)

    def _drift(self, fault: Fault) -> Callable[[], None]:
        self.world.servers[fault.one].process.drift = (2 * fault.size - 1) * 0.01
        return lambda: setattr(self.world.servers[fault.one].process, "drift", 0.0)

    def _fill_disk(self, fault: Fault) -> Callable[[], None]:
        self.world.servers[fault.one].process.full = True
        return lambda: setattr(self.world.servers[fault.one].process, "full", False)

    def _slow_store(self, fault: Fault) -> Callable[[], None]:
        self.world.servers[fault.one].process.slow_s = SLOW_S * fault.size**0.5
        return lambda: setattr(self.world.servers[fault.one].process, "slow_s", 0.0)

    def _descriptors(self, fault: Fault) -> Callable[[], None]:
        self.world.servers[fault.one].process.without_descriptors = True
        return lambda: setattr(self.world.servers[fault.one].process, "without_descriptors", False)

    def _lock_store(self, fault: Fault) -> Callable[[], None]:
        """Lock the bindings of a pool, as a backup program or another process may do: nothing can be written."""
        store = self.world.store(fault.one)
        store.locks += 1
        return lambda: setattr(store, "locks", store.locks - 1)

    # Workers

    def _worker(self, fault: Fault) -> Server | None:
        workers = self.world.servers[fault.one].workers
        return workers[int(len(workers) * fault.size)] if workers else None

    def _kill_worker(self, fault: Fault) -> None:
        """Let a worker end; its supervisor replaces it."""
        if (worker := self._worker(fault)) is not None:
            self.world.kill_worker(worker)

    def _hang_worker(self, fault: Fault) -> Callable[[], None] | None:
        """Stop a worker; its supervisor kills it after some seconds, unless it goes on before."""
        worker = self._worker(fault)
        if worker is None or worker.process.state is not ProcessState.RUNNING:
            return None
        process = worker.process
        process.state = ProcessState.HUNG

        def go_on() -> None:
            if process.state is ProcessState.HUNG:
                process.state, process.hung_until = ProcessState.RUNNING, self.world.loop.now

        return go_on

    def _kill_worker_again(self, fault: Fault) -> None:
        """Let a worker end, and the worker that replaces it, too."""
        worker = self._worker(fault)
        if worker is None:
            return
        self.world.kill_worker(worker)
        for after_s in (4.0, 9.0):
            self.world.loop.call_later(after_s, self._kill_number, fault.one, worker.process.number)

    def _kill_number(self, name: str, number: int) -> None:
        for worker in self.world.servers[name].workers:
            if worker.process.number == number and worker.process.alive:
                self.world.kill_worker(worker)
                return

    # Documents

    def _late_document(self, fault: Fault) -> None:
        self.world.documents.deliver_late(fault.one, fault.size)

    def _publish_to_full_disk(self, fault: Fault) -> Callable[[], None]:
        """Publish a version that one server cannot store."""
        process = self.world.servers[fault.one].process
        process.full = True
        self.world.loop.call_later(0.3, self.world.operations.publish)
        return lambda: setattr(self.world.servers[fault.one].process, "full", False)

    def _revoke_and_publish(self, fault: Fault) -> None:
        """Revoke a certificate while a version is published, in either order."""
        at = (0.0, fault.size) if fault.size < 0.5 else (1.0 - fault.size, 0.0)
        self.world.loop.call_later(at[0], self.world.operations.revoke_one_more)
        self.world.loop.call_later(at[1], self.world.operations.publish)

    def _store_and_die(self, fault: Fault) -> Callable[[], None]:
        """Let a server die at one of the operations by which it stores a version or changed users."""
        serving = [name for name in MANAGED if self.world.servers[name].serves]
        name = fault.one if fault.one in serving or not serving else self._chance.choice(serving)
        self.world.servers[name].process.crash_in = 1 + int(MOST_OPERATIONS * fault.size)
        if self._chance.random() < 0.6:
            self.world.operations.publish()
        else:
            self.world.operations.change_password(self._chance.choice(list(USERS)))
        self.world.loop.call_later(max(fault.lasts_s, STORES_S), self._survived, name)
        return lambda: self._note(fault)

    def _change_on_filling_disk(self, fault: Fault) -> Callable[[], None]:
        """Change a password while the disk of a front end becomes full; it dies, and begins again without management."""
        pair = (FE1, FE2) if USERS[fault.one] == POOL else (FE3, FE4)
        name, call_later = pair[int(2 * self._chance.random())], self.world.loop.call_later
        self.world.servers[name].process.full_in = 1 + int(8 * fault.size)
        self.world.operations.change_password(fault.one)
        call_later(0.6 + 0.9 * self._chance.random(), self._cut_off_and_kill, name)
        call_later(3.0, self._begin_again, name)
        call_later(max(fault.lasts_s, ALONE_S), self._reach_again, name)
        return lambda: self._note(fault)

    def _cut_off_and_kill(self, name: str) -> None:
        for manager in MANAGERS:
            self.world.network.cut_between(name, manager, both=True)
        self.world.crash(self.world.servers[name].process)

    def _reach_again(self, name: str) -> None:
        for manager in MANAGERS:
            self.world.network.heal(name, manager)
        self._has_room(name)
        self.world.loop.call_later(4.0, self._begin_again, name)
        self.world.troubled("change_on_filling_disk")
        self.world.troubled_host(name)

    def _change_and_kill(self, fault: Fault) -> None:
        """Change a password while the workers are replaced."""
        for name in WORKERS:
            for worker in list(self.world.servers[name].workers):
                self.world.loop.call_later(2.0 * fault.size, self._kill_number, name, worker.process.number)
        self.world.operations.change_password(fault.one)

    def _act_with_wrong_clock(self, fault: Fault) -> Callable[[], None]:
        """Change something while the clock of a front end is behind: by seconds, or to before the dates of its certificates."""
        operations, call_later = self.world.operations, self.world.loop.call_later
        users, draw = self._chance.sample(list(USERS), 2), self._chance.random()
        is_little = draw < 0.35
        self.world.servers[fault.one].process.offset_s = -(2.0 + 18.0 * fault.size) if is_little else -JUMP_S
        if is_little:
            call_later(0.1, operations.revoke_one_more)
            call_later(0.4, operations.publish)
        else:
            call_later(0.1, operations.change_password, users[0])
            if draw < 0.7:
                call_later(0.2, operations.publish)
            call_later(WRONG_S + 0.5, operations.change_password, users[1])
        call_later(WRONG_S, self._set_right, fault.one)
        return lambda: self._note(fault)

    def _set_right(self, name: str) -> None:
        self.world.servers[name].process.offset_s = 0.0
        self.world.troubled("jump_clock")
        self.world.troubled_host(name)

    # The two front ends of a pool

    def _cut_and_kill(self, fault: Fault) -> Callable[[], None]:
        """Cut the two front ends of a pool from each other for some seconds, and let one of them die before it can deliver."""
        pair = (FE1, FE2) if fault.one in (FE1, FE2) else (FE3, FE4)
        other = pair[1 - pair.index(fault.one)]
        self.world.network.cut_between(fault.one, other, both=True)
        for after_s, act in ((6.0, self._kill), (6.1, lambda _: self.world.network.heal(fault.one, other))):
            self.world.loop.call_later(after_s, act, fault)
        self.world.loop.call_later(max(fault.lasts_s, 7.0), self._begin_again, fault.one)
        return lambda: self._note(fault)

    # Databases

    def _database_down(self, fault: Fault) -> Callable[[], None]:
        down = self.world.databases.down
        down.add(fault.other)
        return lambda: down.discard(fault.other)

    def _cut_database(self, fault: Fault) -> Callable[[], None]:
        cut = self.world.databases.cut
        cut.add((fault.one, fault.other))
        return lambda: cut.discard((fault.one, fault.other))

    def _older_database(self, _fault: Fault) -> Callable[[], None]:
        """Lose the last transactions of the database of management, as with a standby that was behind."""
        return self.world.operations.dump()

    # Start orders

    def _hang_leader(self, fault: Fault) -> Callable[[], None]:
        """Stop the leader of management in the middle of a command: another server leads before it goes on.

        A user is changed meanwhile, so that both have something to sign.
        """
        leader = self.world.leader
        name = leader[0].name if leader is not None else fault.one
        process, slow_s = self.world.servers[name].process, 0.2 + fault.size
        process.slow_s = slow_s
        if leader is not None:
            self.world.operations.publish_on(leader[0])
        if self._chance.random() < 0.5:
            self._fill_for(name, fault.lasts_s + LONGER_S)
        hangs = self.world.loop.call_later(4.0 * slow_s * self._chance.random(), self.world.hang, name)
        if fault.lasts_s >= TAKEN_OVER_S:
            user = self._chance.choice(list(USERS))
            self.world.loop.call_later(fault.lasts_s - 0.3, self.world.operations.change_password, user)

        def go_on() -> None:
            hangs.cancel()
            process.slow_s = 0.0
            is_overtaken = process.state is ProcessState.HUNG and name in MANAGERS
            self.world.resume(name)
            if is_overtaken:
                self.world.operations.act_on(self.world.servers[name], self._chance.random())

        return go_on

    def _fill_for(self, name: str, seconds: float) -> None:
        """Let a disk be full for some seconds."""
        self.world.troubled("fill_disk")
        self.world.servers[name].process.full = True
        self.world.loop.call_later(seconds, self._has_room, name)

    def _has_room(self, name: str) -> None:
        process = self.world.servers[name].process
        process.full, process.full_in = False, None
        self.world.troubled("fill_disk")

    def _outage(self, fault: Fault) -> Callable[[], None]:
        """Several servers end at once, in one of three ways, and are started again in any order."""
        names = self._chance.sample(SERVERS, 2 + int((len(SERVERS) - 1) * fault.size))
        if self.world.operations.is_older:
            names = [name for name in names if name not in MANAGERS]
        how = (lambda name: self.world.crash(self.world.servers[name].process), self.world.lose_power, self.world.stop)
        for name in names:
            how[int(3 * self._chance.random())](name)
        order = self._chance.sample(names, len(names))

        def begin_again() -> None:
            for name in order:
                self.world.loop.call_later(8.0 * self._chance.random(), self._begin_again, name)

        return begin_again

    def _older_state(self, fault: Fault) -> Callable[[], None]:
        """Put an older state folder back, as from a backup, while the server is off."""
        folder = self.world.folders.of(fault.one) / "state"
        content = {
            file.name: file.read_bytes() for file in folder.iterdir() if file.is_file() and ".db" not in file.name
        }

        def put_back() -> None:
            server = self.world.servers[fault.one]
            self.world.crash(server.process)
            for file in folder.iterdir():
                if file.is_file() and ".db" not in file.name:
                    file.unlink()
            for name, octets in content.items():
                (folder / name).write_bytes(octets)
                (folder / name).chmod(0o600)
            self.world.disk.forget(folder)
            server.rolled_back = True
            self._begin_again(fault.one)

        return put_back

    # Phones and operators

    def _deaf_phone(self, fault: Fault) -> Callable[[], None]:
        [phone] = [phone for phone in self.world.phones if phone.name == fault.one]
        phone.reads = False
        return phone.listen

    def _publish(self, _fault: Fault) -> None:
        self.world.operations.publish()

    def _remove_user(self, fault: Fault) -> None:
        self.world.operations.remove(fault.one)

    def _change_password(self, fault: Fault) -> None:
        self.world.operations.change_password(fault.one)

    def _revoke(self, _fault: Fault) -> None:
        self.world.operations.revoke()

    def note(self) -> None:
        """Tell the world which faults are at work now."""
        for fault in self.active:
            self._note(fault)
        for name, server in self.world.servers.items():
            process = server.process
            if process.state is not ProcessState.RUNNING:
                self.world.troubled("kill")
            if server.stopping:
                self.world.troubled("restart")
            is_wrong = process.state is not ProcessState.RUNNING or server.stopping or process.slow_s or process.full
            if is_wrong or any(worker.process.state is not ProcessState.RUNNING for worker in server.workers):
                self.world.troubled_host(name)

    def _note(self, fault: Fault) -> None:
        """A fault is at work now."""
        self.world.troubled(fault.kind)
        if fault.kind in OPERATIONS:
            return
        hosts: Sequence[str] = {
            "lock_store": (FE1, FE2) if fault.one == POOL else (FE3, FE4),
            "database_down": MANAGERS if fault.other == MANAGEMENT else FRONT_ENDS,
            "older_database": MANAGERS,
        }.get(fault.kind, (fault.one, fault.other))
        for host in hosts:
            self.world.troubled_host(host)
