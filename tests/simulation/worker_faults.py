"""Faults of the workers of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.organisations import WORKERS
from simulation.processes import ProcessState

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.faults import Fault
    from simulation.server import Server
    from simulation.world import World


class WorkerFaults:
    """The faults of workers, by their kinds."""

    def __init__(self, world: World) -> None:
        self.world = world

    def _worker(self, fault: Fault) -> Server | None:
        workers = self.world.servers[fault.one].workers
        return workers[int(len(workers) * fault.size)] if workers else None

    def kill_worker(self, fault: Fault) -> None:
        """Let a worker end; its supervisor replaces it."""
        if (worker := self._worker(fault)) is not None:
            self.world.machines.kill_worker(worker)

    def hang_worker(self, fault: Fault) -> Callable[[], None] | None:
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

    def kill_worker_again(self, fault: Fault) -> None:
        """Let a worker end, and the worker that replaces it, too."""
        worker = self._worker(fault)
        if worker is None:
            return
        self.world.machines.kill_worker(worker)
        for after_s in (4.0, 9.0):
            self.world.loop.call_later(after_s, self._kill_number, fault.one, worker.process.number)

    def _kill_number(self, name: str, number: int) -> None:
        for worker in self.world.servers[name].workers:
            if worker.process.number == number and worker.process.alive:
                self.world.machines.kill_worker(worker)
                return

    def change_and_kill(self, fault: Fault) -> None:
        """Change a password while the workers are replaced."""
        for name in WORKERS:
            for worker in list(self.world.servers[name].workers):
                self.world.loop.call_later(2.0 * fault.size, self._kill_number, name, worker.process.number)
        self.world.operations.change_password(fault.one)
