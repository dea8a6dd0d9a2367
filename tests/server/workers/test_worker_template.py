"""The process that forks workers, as their supervisor sees it. Real processes, which are no servers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from sipmesh.server.workers.worker_template import ForkedWorker, WorkerTemplate
from support.running import on_loop, until

PROGRAM = """
import os, socket, sys
from sipmesh.server.process.fork_server import die_with_parent, serve

def work(facts, given):
    die_with_parent(9)
    os.write(given[0], f"{hash('x')} {os.getppid()} ".encode())
    if facts["stays"]:
        os.read(0, 1) or __import__("signal").pause()

serve(socket.socket(fileno=int(sys.argv[1])), work)
"""


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A program that forks processes which say who they are; its module is found by the new interpreter."""
    (tmp_path / "forks_for_test.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""))))


def exists(pid: int) -> bool:
    """Tell whether a process runs; after its end it has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


async def started(template: WorkerTemplate, *, stays: bool = True) -> tuple[ForkedWorker, str, int]:
    """A worker, its hash, and the process that has forked it."""
    ours, theirs = socket.socketpair()
    with theirs:
        worker = await template.start({"stays": stays}, theirs)
    with ours:
        said = await asyncio.to_thread(ours.recv, 100)
    hashed, parent = said.split()
    return worker, hashed.decode(), int(parent)


@on_loop
async def test_workers_that_start_together_are_of_one_process_and_have_one_key_for_hashes() -> None:
    """Without a process that was forked in time, one is executed. A worker tells its exit status, and is not killed again."""
    template = WorkerTemplate(module="forks_for_test")
    (one, hash_of_one, parent), (two, hash_of_two, parent_of_two) = await asyncio.gather(
        started(template, stays=False), started(template)
    )
    assert (hash_of_one, parent) == (hash_of_two, parent_of_two)
    assert (await one.wait(), one.returncode) == (0, 0)
    one.kill()
    two.kill()
    assert {*await asyncio.gather(two.wait(), two.wait())} == {-signal.SIGKILL}
    await template.close()
    assert not exists(parent)


@on_loop
async def test_workers_end_with_the_process_that_has_forked_them_and_the_next_one_is_of_another() -> None:
    template = WorkerTemplate(module="forks_for_test")
    worker, _, parent = await started(template)
    os.kill(parent, signal.SIGKILL)
    assert await worker.wait() == -signal.SIGKILL
    await until(lambda: not exists(worker.pid))
    another, _, parent_of_another = await started(template)
    assert parent_of_another != parent
    another.kill()
    await another.wait()
    await template.close()


@on_loop
async def test_process_that_cannot_be_forked_is_an_error() -> None:
    """Nothing but the end comes on the socket of such a worker."""
    requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    template = WorkerTemplate(requests)
    given, other = socket.socketpair()
    with theirs, given, other:
        asked = asyncio.create_task(template.start({}, given))
        _, descriptors, _, _ = await asyncio.to_thread(socket.recv_fds, theirs, 100, 4)
        for descriptor in descriptors:
            os.close(descriptor)
        with pytest.raises(OSError, match="temporarily unavailable"):
            await asked
    await template.close()


@on_loop
async def test_end_of_a_worker_is_known_also_if_the_process_that_has_forked_it_hangs() -> None:
    template = WorkerTemplate(module="forks_for_test")
    worker, _, parent = await started(template)
    os.kill(parent, signal.SIGSTOP)
    try:
        worker.kill()
        assert await worker.wait() == -signal.SIGKILL
    finally:
        os.kill(parent, signal.SIGCONT)
    await template.close()
