"""Processes that are forked from a process that has imported what they use: real processes, which are no servers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cli.world import environment
from sipmesh.server.process.fork_server import ask, exit_status

FORKS = """
import os, signal, socket, sys
from sipmesh.server.process import fork_server

def become(facts, given):
    os.write(given[0], f"{os.getppid()} {sorted(map(int, os.listdir('/proc/self/fd')))[:3]}".encode())
    os.close(given[0])
    if facts["ends"] == "by an error":
        raise ValueError("of the forked process")
    if facts["ends"] == "never":
        signal.pause()

left_open = socket.socket()
requests = fork_server.fork_server(lambda asked: fork_server.serve(asked, become))
def end_of(ends):
    reading, writing = os.pipe()
    status = fork_server.ask(requests, {"ends": ends}, [writing])
    os.close(writing)
    pid = int(status.recv(16))
    told = b""
    while more := os.read(reading, 100):
        told += more
    if ends == "never":
        os.kill(pid, signal.SIGKILL)
    print(int(status.recv(16)), int(told.split()[0]) not in (os.getpid(), pid), told.decode().partition(" ")[2])
for ends in ("well", "by an error", "never"):
    end_of(ends)
requests.close()
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_forked_process_tells_how_it_ends_and_has_only_its_own_descriptors() -> None:
    """It is the child of the process between. That one ends with the socket on which it is asked."""
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=False, env=environment())
    assert done.stdout.splitlines() == [
        "0 True [0, 1, 2]",
        "1 True [0, 1, 2]",
        f"{-signal.SIGKILL} True [0, 1, 2]",
        "0",
    ], done.stderr
    assert done.stderr.count("ValueError: of the forked process") == 1


def test_process_that_has_ended_forks_nothing() -> None:
    """The descriptors that were meant for the forked process stay open here, and no other one is left."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Path(os.devnull).open("rb") as given, pytest.raises(OSError, match="Broken pipe"):
        ask(ours, {}, [given.fileno()])
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    ours.close()


LEAVES = """
import atexit, sys, threading
from sipmesh.server.process.fork_server import leave
go = threading.Event()
threading.Thread(target=lambda: go.wait() and sys.stdout.write("the thread has ended\\n")).start()
atexit.register(sys.stdout.write, "the functions of atexit have run\\n")
class Freed:
    def __del__(self): print("freed")
kept = Freed()
go.set()
sys.stdout.write("begins\\n")
leave(3)
"""


def test_forked_process_ends_as_python_does_but_frees_nothing() -> None:
    """Threads and the functions of `atexit` end first, and what was printed comes out."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVES], capture_output=True, text=True, check=False, env=environment()
    )
    lines = ["begins", "the functions of atexit have run", "the thread has ended"]
    assert (sorted(done.stdout.splitlines()), done.returncode, done.stderr) == (lines, 3, "")


@pytest.mark.parametrize(("code", "status", "said"), [(None, 0, ""), (0, 0, ""), (2, 2, ""), ("no", 1, "no\n")])
def test_exit_status_is_that_of_python(
    code: int | str | None, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status(lambda: sys.exit(code)) == status
    assert capsys.readouterr().err == said


def test_command_that_returns_has_the_status_0() -> None:
    assert exit_status(lambda: None) == 0
