"""The process from which the workers of a server are forked, as their supervisor sees it."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from sipmesh.server.process.fork_server import ask

MODULE: Final = "sipmesh.server.worker"
TELL_S: Final = 5.0
"""Seconds after the end of a worker in which the process that has forked it tells its exit status."""

FORK_S: Final = 30.0
"""Seconds in which a worker is forked."""


class ForkedWorker:
    """A worker that runs; as `asyncio.subprocess.Process` where it has the same. *status* gives its exit status, once."""

    def __init__(self, pid: int, status: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._end = asyncio.ensure_future(self._ended(status))

    async def _ended(self, status: socket.socket) -> int:
        with status:
            telling = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(status, 16))
            try:
                await self._gone(telling)
                told = await asyncio.wait_for(telling, TELL_S)
            except (ConnectionError, TimeoutError):
                told = b""
        self.returncode = int(
            told or -signal.SIGKILL
        )  # nothing comes where the template was killed, and its workers with it
        return self.returncode

    async def _gone(self, telling: asyncio.Future[bytes]) -> None:
        """Wait until the process has ended: a template that hangs does not tell it."""
        try:
            process = os.pidfd_open(self.pid)
        except ProcessLookupError:  # the template has reaped it
            return
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(process, gone.set)
        waiting = asyncio.ensure_future(gone.wait())
        try:
            await asyncio.wait((telling, waiting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            loop.remove_reader(process)
            os.close(process)

    async def wait(self) -> int:
        """Wait for its end; return its exit status, negative for a signal."""
        return await asyncio.shield(self._end)

    def kill(self) -> None:
        """End it at once, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


class WorkerTemplate:
    """Forks workers. *requests* reaches the process that was forked from this one at its start, if there is one.

    Otherwise, and if that process has ended, *module* is executed as another one. All workers have the same key for `hash`: they
    find loops by it.
    """

    def __init__(self, requests: socket.socket | None = None, module: str = MODULE) -> None:
        self._requests, self._module = requests, module
        self._executed: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()

    async def start(self, facts: Mapping[str, Any], given: socket.socket) -> ForkedWorker:
        """Start a worker that gets *facts* and *given*; raises `OSError` if it cannot be started."""
        async with self._one_at_a_time:
            status = await self._asked(facts, given)
        status.settimeout(0)
        try:
            pid = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(status, 16), FORK_S)
        except TimeoutError:
            status.close()
            raise OSError(errno.ETIMEDOUT, "the process that forks workers does not answer") from None
        except BaseException:
            status.close()
            raise
        if not pid:
            status.close()
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return ForkedWorker(int(pid), status)

    async def _asked(self, facts: Mapping[str, Any], given: socket.socket) -> socket.socket:
        if self._requests is not None:
            with suppress(OSError):
                return ask(self._requests, facts, [given.fileno()])
            await self.close()
        self._requests = await self._execute()
        return ask(self._requests, facts, [given.fileno()])

    async def _execute(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._executed = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # the folder in which the server was started has no modules
                "-m",
                self._module,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, "PYTHONHASHSEED": str(secrets.randbelow(1 << 32))},
            )
        return ours

    async def close(self) -> None:
        """Let the process end, which it does once its workers have ended."""
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        if self._executed is not None:
            await self._executed.wait()
            self._executed = None
