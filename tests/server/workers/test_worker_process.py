"""One process of a worker: what it is given, and its end. Real processes, which are no servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys

from sipmesh.server.worker import first_version
from sipmesh.server.workers.worker_process import WorkerProcess
from support.running import on_loop, until

SLEEPS = "import sys; sys.stdin.read()"


async def waiting() -> tuple[WorkerProcess, socket.socket]:
    """A process that waits until it is killed, and the other end of its socket."""
    giving, given = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    giving.settimeout(0)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SLEEPS, stdin=asyncio.subprocess.PIPE)
    return WorkerProcess(1, 1, process, giving), given


@on_loop
async def test_worker_gets_its_version_and_descriptors_in_their_order() -> None:
    worker, given = await waiting()
    worker.give_version({"number": 7})
    read, write = os.pipe()
    worker.give({"port": "client"}, write)
    os.close(write)
    assert first_version(given) == {"number": 7}
    words, [descriptor], _, _ = socket.recv_fds(given, 1_000, 1)
    assert json.loads(words) == {"port": "client"}
    os.write(descriptor, b"x")
    assert os.read(read, 1) == b"x"
    for one in (read, descriptor):
        os.close(one)
    given.close()
    worker.kill()
    assert await worker.ended() == -signal.SIGKILL


@on_loop
async def test_worker_that_has_ended_gets_nothing_and_is_not_killed_again() -> None:
    worker, given = await waiting()
    worker.kill()
    await worker.ended()
    worker.kill()
    worker.give({"port": "client"}, given.fileno())
    given.close()
    assert not worker.is_serving


@on_loop
async def test_processor_use_of_a_process_that_sleeps_and_of_a_process_that_never_returns() -> None:
    worker, given = await waiting()
    await until(lambda: not worker.processor_use.is_waiting)
    giving, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    spins = WorkerProcess(2, 2, await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass"), giving)
    await until(lambda: spins.processor_use.is_waiting and spins.processor_use.had_s)
    for process in (worker, spins):
        process.kill()
        await process.ended()
    assert worker.processor_use == (0.0, False)
    for sock in (given, other):
        sock.close()
