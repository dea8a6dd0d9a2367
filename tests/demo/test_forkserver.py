"""Commands that are forked from a process that has imported everything: they are as if an operator had typed them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from sipmesh.demo import forkserver
from sipmesh.demo.forkserver import Forked, ForkServer
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import LocalError
from support.network import FE1
from support.running import LOOK_AGAIN_S, on_loop, until

WAITS = ("user", "add", "dora@example.test", "--password-stdin")
"""A command that waits for its standard input."""


def waiting(example: Organisation) -> Forked:
    """Start a command that runs until its standard input ends."""
    with tempfile.TemporaryFile() as printed:
        return forkserver.start((*WAITS, "--topology", str(example.file)), printed, stdin=True)


def runs(pid: int) -> bool:
    """Tell whether a process runs; a process that has ended without being waited for has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


@pytest.mark.wide
def test_command_has_its_folder_environment_and_input(example: Organisation) -> None:
    """The command line, the working folder and the environment of the process that asks stay as they are."""
    before = Path.cwd(), dict(os.environ)
    code, printed = forkserver.run(WAITS, example.folder, "dora-secret\n", COLUMNS="200")
    assert (code, "dora@example.test" in printed) == (0, True), printed
    code, printed = forkserver.run(WAITS, example.folder, "dora-secret\n", COLUMNS="200")
    assert (code, "exists already" in printed) == (1, True), printed
    assert (Path.cwd(), dict(os.environ)) == before


def test_what_is_imported_before_a_fork_is_there() -> None:
    """The names are texts, since the demo is below the commands: a module that moves must be renamed here too."""
    for name in forkserver.IMPORTED:
        assert find_spec(name) is not None


def test_command_that_is_killed_has_the_status_of_its_signal(example: Organisation) -> None:
    started = waiting(example)
    assert started.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        started.wait(LOOK_AGAIN_S)
    started.terminate()
    assert started.wait(10) == -signal.SIGTERM
    assert not runs(started.pid)
    started.kill()  # has no process to reach


@on_loop
async def test_loop_goes_on_while_a_command_is_waited_for(example: Organisation) -> None:
    started = waiting(example)
    ended = asyncio.create_task(started.ended())
    await asyncio.sleep(0)
    started.terminate()
    assert await ended == -signal.SIGTERM
    assert await started.waited() == -signal.SIGTERM


@on_loop
async def test_command_that_does_not_stop_in_time_is_killed(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forkserver, "STOP_S", LOOK_AGAIN_S)
    started = waiting(example)
    assert await started.ended() == -signal.SIGKILL
    assert not runs(started.pid)


@pytest.mark.wide
@on_loop
async def test_servers_end_with_the_process_that_has_started_them(example: Organisation, tmp_path: Path) -> None:
    """They are ordered to stop; a fork server that has ended starts nothing any more."""
    server, environment = ForkServer(), dict(os.environ)
    with (tmp_path / "log").open("wb") as log:
        arguments = ("serve", FE1, "--topology", str(example.file))
        started = server.start(arguments, log, environment, tmp_path)
        await until(lambda: b"serving" in (tmp_path / "log").read_bytes())
        server.close()
        await until(lambda: not runs(started.pid))
        assert started.wait(0) is not None
        with pytest.raises(LocalError, match="has ended"):
            server.start(arguments, log, environment, tmp_path)
