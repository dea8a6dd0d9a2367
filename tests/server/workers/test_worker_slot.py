"""The place of one worker: its status for an operator, from its start to its end."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from sipmesh.server.admin.replies import WorkerState
from sipmesh.server.workers.worker_process import WorkerProcess
from sipmesh.server.workers.worker_slot import (
    FIRST_PAUSE_S,
    LATELY_S,
    LONGEST_PAUSE_S,
    SOON_S,
    TOO_MANY_ENDS,
    WorkerSlot,
    how_ended,
)
from support.running import on_loop

NUMBER = 2


async def process_of(program: str = "import sys; sys.stdin.read()") -> WorkerProcess:
    """A process that stands for one of a worker."""
    giving, given = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    given.close()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE)
    return WorkerProcess(NUMBER, 1, process, giving)


@on_loop
async def test_status_of_a_worker_is_complete_from_its_start_to_its_end() -> None:
    slot = WorkerSlot(NUMBER)
    assert (slot.state, slot.fault(0.0)) == (WorkerState.ENDED, "worker 2 does not run")
    process = slot.process = await process_of()
    assert (slot.state, slot.fault(0.0)) == (WorkerState.STARTING, "worker 2 is starting")
    process.is_serving = True
    assert (slot.state, slot.fault(0.0)) == (WorkerState.SERVING, "")
    process.is_silent = True
    assert (slot.state, slot.fault(0.0)) == (WorkerState.SILENT, "worker 2 does not answer")
    assert (slot.reply().number, slot.reply().pid, slot.reply().why) == (NUMBER, process.pid, "")
    process.kill()
    slot.ended(process, await process.ended(), 0.0)
    reply = slot.reply()
    assert (reply.state, reply.pid, reply.up_s) == (WorkerState.ENDED, 0, 0.0)
    assert reply.why == "its process was ended by SIGKILL"
    assert slot.fault(0.0) == "worker 2 does not run: its process was ended by SIGKILL"


@on_loop
async def test_log_says_why_the_supervisor_has_killed_it() -> None:
    slot, process = WorkerSlot(NUMBER), await process_of()
    slot.process = process
    process.kill("it did not answer")
    process.kill()
    slot.ended(process, await process.ended(), 0.0)
    assert slot.reply().why == "it did not answer"


@on_loop
async def test_pause_doubles_while_it_ends_soon_after_its_start() -> None:
    slot, process = WorkerSlot(NUMBER), await process_of("")
    status = await process.ended()
    for _ in range(10):
        slot.ended(process, status, 0.0)
    assert slot.pause == LONGEST_PAUSE_S
    process.started_at -= SOON_S
    assert slot.ended(process, status, 0.0) >= SOON_S
    assert slot.pause == FIRST_PAUSE_S


@on_loop
async def test_worker_that_ends_again_and_again_is_a_fault_for_a_while() -> None:
    slot, ended = WorkerSlot(NUMBER), await process_of("")
    status = await ended.ended()
    serving = await process_of()
    serving.is_serving = True
    slot.process = serving
    for turn in range(TOO_MANY_ENDS):
        assert not slot.fault(float(turn))
        slot.ended(ended, status, float(turn))
    said = "worker 2 has ended 3 times within 10 minutes: its process ended with status 0"
    assert (slot.fault(LATELY_S), slot.fault(LATELY_S + 1)) == (said, "")
    serving.kill()
    await serving.ended()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0, "its process ended with status 0"),
        (-9, "its process was ended by SIGKILL"),
        (-250, "its process was ended by signal 250"),
    ],
)
def test_end_of_a_process_is_said_in_words(status: int, said: str) -> None:
    assert how_ended(status) == said
