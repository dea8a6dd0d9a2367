"""Carries out the faults of a run."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from simulation.faults import OPERATIONS, STOPS_MANAGEMENT
from simulation.link_faults import LinkFaults
from simulation.moments import Moments
from simulation.organisations import FRONT_ENDS, MANAGEMENT, MANAGERS
from simulation.processes import ProcessState
from simulation.server_faults import ServerFaults
from simulation.worker_faults import WorkerFaults
from support.network import FE1, FE2, FE3, FE4, POOL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulation.faults import Fault
    from simulation.world import World


class Operators:
    """What operators do in the middle of everything, by its kind."""

    def __init__(self, world: World) -> None:
        self.world = world

    def publish(self, _fault: Fault) -> None:
        self.world.operations.publish()

    def remove_user(self, fault: Fault) -> None:
        self.world.operations.remove(fault.one)

    def move_user(self, fault: Fault) -> None:
        self.world.operations.move(fault.one)

    def change_password(self, fault: Fault) -> None:
        self.world.operations.change_password(fault.one)

    def revoke(self, _fault: Fault) -> None:
        self.world.operations.revoke()


class Injector:
    """Carries out the faults of a run, and ends each of them."""

    def __init__(self, world: World, faults: list[Fault]) -> None:
        self.world, self.faults = world, faults
        self.active: dict[Fault, None] = {}
        chance = random.Random(f"{world.seed} injector")
        self._parts: Final = (
            *(LinkFaults(world), ServerFaults(world, chance), WorkerFaults(world), Moments(world, chance)),
            Operators(world),
        )

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
        end: Callable[[], None] | None = self._act_of(fault.kind)(fault)
        self.world.loop.call_at(fault.at + fault.lasts_s, self._end, fault, end)

    def _act_of(self, kind: str) -> Callable[[Fault], Callable[[], None] | None]:
        [act] = [getattr(part, kind) for part in self._parts if hasattr(part, kind)]
        found: Callable[[Fault], Callable[[], None] | None] = act
        return found

    def _end(self, fault: Fault, end: Callable[[], None] | None) -> None:
        if end is not None:
            end()
            self.world.tell("fault", "over", str(fault))
        self.active.pop(fault, None)
        self._note(fault)

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
