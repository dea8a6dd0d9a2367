"""`sipmesh` commands as processes of their own that start at once: they are forked from a process that has imported it all.

A new interpreter imports for half a second of CPU before a server begins to start. The demo starts five servers, and the tests
start hundreds. One process for each process that starts them has done these imports. It holds no other resource: no thread, no
loop, no open file. A command is forked from it, with the arguments, the environment, the folder and the three standard streams
that it is given. It ends when the process that has started it ends in any way, and its commands end with it.

The processes talk over a socket pair. A request is one packet: JSON in UTF-8, with four descriptors (`SCM_RIGHTS`):
standard input, output, error, and a socket on which the exit status is sent.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from sipmesh.errors import LocalError

STANDARD_STREAMS: Final = 3
LONGEST_REQUEST: Final = 1 << 20
STOP_S: Final = 15.0
PR_SET_PDEATHSIG: Final = 1

ENTRY: Final = "sipmesh.cli.main"
"""The module whose function ``main`` is the command `sipmesh`."""

APP: Final = "sipmesh.cli.app"
"""The module whose function ``command`` makes the command line from all functions."""

COMMANDS: Final = "sipmesh.cli.commands"
"""The module whose function ``load_all`` imports all commands, which else are imported one by one."""

IMPORTED: Final = (
    ENTRY,
    APP,
    "sipmesh.server.service",
    "sipmesh.server.log",
    "sipmesh.server.console.console_server",
    "sipmesh.server.console.apply_command",
    "sipmesh.server.console.commands",
    "sipmesh.server.console.draft_commands",
    "sipmesh.server.console.live_commands",
    "sipmesh.server.console.partner_commands",
    "sipmesh.server.console.user_commands",
    "typer.rich_utils",
    "alembic.command",
)
"""What is imported before a command is forked: also what a command imports only if it needs it. All else comes with it."""


class Forked:
    """A command that runs; it offers what `subprocess.Popen` does, as far as it is used."""

    def __init__(self, pid: int, status: socket.socket, stdin: IO[bytes] | None) -> None:
        self.pid, self.stdin = pid, stdin
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Give the exit status, negative for a signal; None while the command runs."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises `subprocess.TimeoutExpired` after *timeout* seconds."""
        status = self._wait(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("sipmesh", timeout or 0)
        return status

    async def ended(self) -> int:
        """Wait for the end of a command that was asked to stop; kill it if it does not stop in time."""
        try:
            async with asyncio.timeout(STOP_S):
                return await self.waited()
        except TimeoutError:
            self.kill()
            return await self.waited()

    async def waited(self) -> int:
        """Wait for the end, and let the loop go on meanwhile."""
        if self.returncode is None:
            loop, ended = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(self._status, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(self._status)
        return self.wait()

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = int(self._status.recv(16) or -signal.SIGKILL)  # nothing comes where the server was killed
            self._status.close()
            if self.stdin is not None:
                self.stdin.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the command has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the command to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the command at once."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that commands are forked from; it ends when this object's socket is closed."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = (sys.executable, "-c", f"from {__name__} import main; main({theirs.fileno()})")
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            self._process = subprocess.Popen(
                command, env=environment, pass_fds=(theirs.fileno(),), start_new_session=True
            )

    def start(
        self,
        arguments: Sequence[str],
        stdout: IO[bytes],
        environment: Mapping[str, str],
        folder: Path,
        *,
        stdin: bool = False,
    ) -> Forked:
        """Start ``sipmesh ARGUMENTS`` in *folder*, with *stdout* for both outputs; *stdin* gives it a pipe to read from."""
        request = {"arguments": list(arguments), "environment": dict(environment), "folder": str(folder)}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reading, writing = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
        typed = os.fdopen(writing, "wb") if writing is not None else None
        try:
            with theirs:
                given = [reading, stdout.fileno(), stdout.fileno(), theirs.fileno()]
                self._ask(request, given)
            return Forked(self._pid(ours), ours, typed)
        except BaseException:
            ours.close()
            if typed is not None:
                typed.close()
            raise
        finally:
            os.close(reading)

    def _ask(self, request: Mapping[str, object], given: Sequence[int]) -> None:
        """Have a command forked with the descriptors *given*; if the fork server has ended, `_pid` finds out."""
        with suppress(OSError):
            socket.send_fds(self._socket, [json.dumps(request).encode()], given)

    def _pid(self, status: socket.socket) -> int:
        with suppress(ConnectionError):
            if pid := status.recv(16):
                return int(pid)
        raise LocalError(f"the fork server {self._process.pid} has ended")

    def close(self) -> None:
        """End the process; commands that still run go on."""
        self._socket.close()
        self._process.wait()


_server: ForkServer | None = None


def start(
    arguments: Sequence[str], stdout: IO[bytes], *, stdin: bool = False, folder: Path | None = None, **environment: str
) -> Forked:
    """Start a command in *folder* or in this process's, with its environment and *environment*, and *stdout* for both outputs."""
    given = {**os.environ, **environment}
    return _of_this_process().start(arguments, stdout, given, folder or Path.cwd(), stdin=stdin)


def run(arguments: Sequence[str], folder: Path, typed: str, **environment: str) -> tuple[int, str]:
    """Run a command in *folder* with *typed* on its standard input; gives its exit status and all that it printed."""
    with tempfile.TemporaryFile() as printed:
        process = _of_this_process().start(arguments, printed, {**os.environ, **environment}, folder, stdin=True)
        if process.stdin is not None:
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(typed.encode())
        code = process.wait()
        printed.seek(0)
        return code, printed.read().decode()


def _of_this_process() -> ForkServer:
    """Give the fork server, which is started with the first command."""
    global _server  # noqa: PLW0603 - one for each process that starts commands
    if _server is None:
        _server = ForkServer()
        atexit.register(_server.close)
    return _server


# What follows runs in the process that commands are forked from.


def serve(requests: socket.socket) -> None:
    """Fork a command for each request, and tell the exit status of each command that ends."""
    running: dict[int, socket.socket] = {}
    wake, alarm = socket.socketpair()
    alarm.settimeout(0)
    signal.set_wakeup_fd(alarm.fileno())
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    while True:
        ready, _, _ = select.select([requests, wake], [], [])
        if wake in ready:
            wake.recv(4096)
            _reap(running)
        if requests in ready:
            packet, given, _, _ = socket.recv_fds(requests, LONGEST_REQUEST, STANDARD_STREAMS + 1)
            if not packet:
                return
            status = socket.socket(fileno=given.pop())
            pid = os.fork()
            if pid == 0:
                for inherited in (requests, wake, alarm, status, *running.values()):
                    inherited.close()
                _become(json.loads(packet), given)
            for descriptor in given:
                os.close(descriptor)
            status.send(str(pid).encode())
            running[pid] = status


def _reap(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with running.pop(pid) as told:
            try:
                told.send(str(os.waitstatus_to_exitcode(status)).encode())
            except BrokenPipeError:  # no process asks any more
                continue


def _become(request: Mapping[str, Any], streams: list[int]) -> NoReturn:
    """Turn this process, which was just forked, into the command; never returns."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    die_with_parent()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = ["sipmesh", *request["arguments"]]
    leave(_exit_status(import_module(ENTRY).main))


def _exit_status(command: Callable[[], object]) -> int:
    """Run a command, and give the status that Python would end with."""
    try:
        command()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    return 0


def leave(status: int) -> NoReturn:
    """End this process as `sys.exit` does, but do not free all objects first.

    That writes to each page of memory that the process shares with the one it was forked from: 60 ms of CPU time, more than a
    command needs. `multiprocessing` ends its processes in the same way.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - waits for the threads that are no daemons
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends in any way (prctl(2), Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main(descriptor: int) -> None:
    """Import what commands need, and fork them as the process at the other end of the socket *descriptor* asks."""
    gc.disable()
    for name in IMPORTED:
        import_module(name)
    import_module(COMMANDS).load_all()
    import_module(APP).command()
    gc.freeze()
    gc.enable()
    serve(socket.socket(fileno=descriptor))
