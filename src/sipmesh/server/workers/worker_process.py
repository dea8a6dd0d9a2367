"""One process of a worker, as its supervisor sees it."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sipmesh.server.log import level

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from sipmesh.server.replication.server_status import ServerStatus
    from sipmesh.server.workers.worker_template import ForkedWorker, WorkerTemplate

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class ProcessorUse(NamedTuple):
    """How many seconds of a processor a process has had, and whether it runs, or waits for a processor."""

    had_s: float
    is_waiting: bool


class WorkerProcess:
    """A worker that was started. *channel* is our end of its first channel; descriptors reach it by another socket pair.

    Both sockets are inherited: no other process can open them, or take the place of one of the two.
    """

    def __init__(
        self, number: int, start: int, process: ForkedWorker | asyncio.subprocess.Process, giving: socket.socket
    ) -> None:
        self.number, self.start, self._process, self._giving = number, start, process, giving
        self.started_at = time.time()
        self.is_serving = self.is_silent = False
        self.killed_for = ""  # why the supervisor has ended it
        self.status: ServerStatus | None = None

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def processor_use(self) -> ProcessorUse:
        """The processor time of the process so far, and whether it waits for more; a process that has ended waits for none."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b") ")[2].split(b" ")
        except OSError:
            return ProcessorUse(0.0, is_waiting=False)
        return ProcessorUse((int(fields[11]) + int(fields[12])) / TICKS_PER_S, is_waiting=fields[0] == b"R")

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.returncode is not None

    @classmethod
    async def spawn(cls, number: int, start: int, facts: Mapping[str, Any], template: WorkerTemplate) -> WorkerProcess:
        """Start a worker; *facts* tell it what it is. Raises `OSError` if it cannot be started."""
        giving, given = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with given:
            process = await template.start({**facts, "level": level()}, given)
        giving.settimeout(0)
        return cls(number, start, process, giving)

    def give(self, what: Mapping[str, Any], descriptor: int) -> None:
        """Give the worker a descriptor, and say what it is; a worker that has ended gets nothing."""
        with suppress(OSError):
            socket.send_fds(self._giving, [json.dumps(what).encode()], [descriptor])

    def give_version(self, version: Mapping[str, Any]) -> None:
        """Give the worker the topology with which it starts: a file in memory, because a version may be large."""
        with os.fdopen(os.memfd_create("version"), "wb") as file:
            file.write(json.dumps(version).encode())
            file.flush()
            self.give({"version": True}, file.fileno())

    def kill(self, why: str = "") -> None:
        """End it at once; the log has *why*."""
        self.killed_for = self.killed_for or why
        with suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> int:
        """Wait for its end, and return its exit status: negative for a signal."""
        status = await self._process.wait()
        self._giving.close()
        return status
