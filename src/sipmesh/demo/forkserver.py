"""`sipmesh` commands as processes of their own that start at once: they are forked from a process that has imported it all.

A new interpreter imports for half a second of CPU before a server begins to start. The demo starts five servers, and the tests
start hundreds. One process for each process that starts them has done these imports. A command is forked from it
(`server/process/fork_server.py`), with the arguments, environment, folder and three standard streams that it is given.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final

from sipmesh.errors import LocalError
from sipmesh.server.process.fork_server import ask, die_with_parent, serve

STOP_S: Final = 15.0

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
        reading, writing = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
        typed = os.fdopen(writing, "wb") if writing is not None else None
        try:
            with suppress(OSError):
                status = ask(self._socket, request, [reading, stdout.fileno(), stdout.fileno()])
                with suppress(ConnectionError):
                    if pid := status.recv(16):
                        return Forked(int(pid), status, typed)
                status.close()
            if typed is not None:
                typed.close()
            raise LocalError(f"the fork server {self._process.pid} has ended")
        finally:
            os.close(reading)

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


def _become(request: Mapping[str, Any], streams: list[int]) -> None:
    """Turn this process, which was just forked, into the command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    die_with_parent()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = ["sipmesh", *request["arguments"]]
    import_module(ENTRY).main()


def main(descriptor: int) -> None:
    """Import what commands need, and fork them as the process at the other end of the socket *descriptor* asks."""
    gc.disable()
    for name in IMPORTED:
        import_module(name)
    import_module(COMMANDS).load_all()
    import_module(APP).command()
    gc.freeze()
    gc.enable()
    serve(socket.socket(fileno=descriptor), _become)
