"""The place of one worker: the process that has it, its state, and how often it has ended."""

from __future__ import annotations

import signal
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sipmesh.server.admin.replies import WorkerReply, WorkerState

if TYPE_CHECKING:
    from sipmesh.server.workers.worker_process import WorkerProcess

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 10.0
"""Seconds until a worker is replaced; the pause doubles if it has ended soon after its start."""

SOON_S: Final = 30.0
TOO_MANY_ENDS: Final = 3
"""A worker that has ended so often within `LATELY_S` is a fault of the server, also while it serves."""

LATELY_S: Final = 600.0


@dataclass(slots=True)
class WorkerSlot:
    """The place of the worker *number*; *pause* is how long to wait before it is started again, in seconds.

    *why* says how its process before has ended, or why it cannot be started. *ends* are the times of its last ends.
    """

    number: int
    process: WorkerProcess | None = None
    pause: float = FIRST_PAUSE_S
    starts: int = 0
    why: str = ""
    ends: deque[float] = field(default_factory=lambda: deque(maxlen=TOO_MANY_ENDS))

    @property
    def running(self) -> WorkerProcess | None:
        """The process that has the place; None if it has ended, or was never started."""
        return self.process if self.process is not None and not self.process.has_ended else None

    @property
    def state(self) -> WorkerState:
        """What the worker does now."""
        process = self.running
        if process is None:
            return WorkerState.ENDED
        if not process.is_serving:
            return WorkerState.STARTING
        return WorkerState.SILENT if process.is_silent else WorkerState.SERVING

    def ended(self, process: WorkerProcess, status: int, now: float) -> float:
        """Take note that *process* has ended with *status*, and choose the pause; returns for how many seconds it has lived."""
        process.is_serving = False
        lived_s = time.time() - process.started_at
        if lived_s < SOON_S:
            self.pause_longer()
        else:
            self.pause = FIRST_PAUSE_S
        self.why = process.killed_for or how_ended(status)
        self.ends.append(now)
        return lived_s

    def pause_longer(self) -> None:
        """Double the pause: the worker has ended soon after its start, or cannot be started."""
        self.pause = min(2 * self.pause, LONGEST_PAUSE_S)

    def reply(self) -> WorkerReply:
        """Return its status for operators, without its links."""
        process = self.running
        pid, up_s = (process.pid, time.time() - process.started_at) if process is not None else (0, 0.0)
        return WorkerReply(self.number, pid, round(up_s, 1), 0, self.starts, self.state, self.why)

    def fault(self, now: float) -> str:
        """Return what is wrong with it at *now*, "" if nothing is."""
        because = f": {self.why}" if self.why else ""
        match self.state:
            case WorkerState.SILENT:
                return f"worker {self.number} does not answer"
            case WorkerState.STARTING:
                return f"worker {self.number} is starting{because}"
            case WorkerState.ENDED:
                return f"worker {self.number} does not run{because}"
        if len(self.ends) == TOO_MANY_ENDS and now - self.ends[0] <= LATELY_S:
            times = f"{TOO_MANY_ENDS} times within {LATELY_S / 60:.0f} minutes"
            return f"worker {self.number} has ended {times}{because}"
        return ""


def how_ended(status: int) -> str:
    """Say how a process has ended; *status* is negative for a signal."""
    if status >= 0:
        return f"its process ended with status {status}"
    try:
        return f"its process was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"its process was ended by signal {-status}"
