"""A virtual process: what a server has of its machine, and what a crash takes from it."""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from simulation.virtual_sockets import VirtualSocket


class ProcessState(Enum):
    """Whether the scheduler runs the process: a hung process keeps everything, and does nothing (SIGSTOP)."""

    RUNNING = "running"
    HUNG = "hung"
    DEAD = "dead"


class CrashedError(BaseException):
    """The process has died at this statement; no handler of the product may continue it."""


@dataclass(eq=False)
class Process:
    """One run of one server: *offset_s* and *drift* (seconds per second) are the errors of its wall clock.

    *crash_in* is the number of disk operations before the process dies at one of them; None for never. *full*: the disk accepts
    no octet; *full_in* is the number of disk operations until then. *slow_s*: how long each call in a thread takes. *hung_until*
    and *threads_until* are loop times: when it went on after it hung, and when its last call in a thread ends. A worker has the
    supervisor for its *parent*, and a *number*.
    """

    name: str
    folder: str
    offset_s: float = 0.0
    drift: float = 0.0
    state: ProcessState = ProcessState.RUNNING
    crash_in: int | None = None
    full_in: int | None = None
    full: bool = False
    without_descriptors: bool = False
    slow_s: float = 0.0
    hung_until: float = -1e9
    threads_until: float = 0.0
    parent: Process | None = None
    number: int = 0
    sockets: dict[int, VirtualSocket] = field(default_factory=dict)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Process {self.name} {self.state.value}>"

    @property
    def machine(self) -> Process:
        """The process that has the faults of the machine: that of the supervisor, for a worker."""
        return self.parent.machine if self.parent is not None else self

    @property
    def alive(self) -> bool:
        """Whether the process has not died."""
        return self.state is not ProcessState.DEAD

    def descriptor(self, sock: VirtualSocket) -> int:
        """Give *sock* the lowest free descriptor, as a kernel does."""
        number = 10
        while number in self.sockets:
            number += 1
        self.sockets[number] = sock
        return number


CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)
"""The process whose code runs; None outside of the servers. Tasks, timers and readers inherit it."""


def outside() -> Context:
    """Return a context in which no process runs."""
    context = copy_context()
    context.run(CURRENT.set, None)
    return context


def within(process: Process) -> Context:
    """Return a context in which *process* runs."""
    context = copy_context()
    context.run(CURRENT.set, process)
    return context
