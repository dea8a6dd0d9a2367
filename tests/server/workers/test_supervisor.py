"""The supervisor, over a real channel to a worker in the same loop. Workers that are processes: `scenarios/test_workers`."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.admin.status_report import status_of
from sipmesh.server.proxy.siblings.channel import BEAT, SUPERVISOR
from sipmesh.server.workers import supervisor as module
from sipmesh.server.workers.orders import Orders
from sipmesh.server.workers.supervisor import MOST_CLOSED, Supervisor
from sipmesh.server.workers.worker_patience import HUNG_STEPS
from sipmesh.server.workers.worker_process import WorkerProcess
from sipmesh.storage.users.user_document import UserDocument
from support.network import POOL
from support.running import on_loop, until
from support.siblings import ONE, TWO, Pair, pair_of
from support.telling import Told

WAITS = "import sys; sys.stdin.read()"


class Worker:
    """The worker TWO: its orders, and how it answers. A process that only waits stands for its own."""

    def __init__(self, pair: Pair) -> None:
        self.told: list[str] = []
        self.refuses, self.hangs = "", asyncio.Event()
        self.hangs.set()
        names = ("version", "crls", "revoke", "users")
        self.questions = {"alive": self._alive, "drain": self.done, "hurry": self.done, "fails": self._fails}
        self.orders = Orders(pair.siblings(TWO), self.questions, {name: self._follower(name) for name in names})
        self._node, self.siblings = pair.nodes[TWO], pair.siblings(TWO)
        self._node.outside.orders = self.orders
        self.orders.begin()

    def _follower(self, name: str) -> Any:
        async def follow(_asked: Mapping[str, Any]) -> list[str]:
            await self.hangs.wait()
            if self.refuses:
                raise OperatorError(self.refuses)
            self.told.append(name)
            return [f"link-closed-by-{name}"]

        return follow

    async def _alive(self, asked: Mapping[str, Any]) -> object:
        await self.hangs.wait()
        return status_of(self._node).to_json() if asked["reports"] else None

    async def done(self, _asked: Mapping[str, Any]) -> bool:
        """Note the order."""
        self.told.append("drain")
        return True

    async def _fails(self, _asked: Mapping[str, Any]) -> None:
        raise OperatorError("no")


class Scene:
    """A supervisor in the place of the worker ONE; *settled* counts how often all had followed."""

    def __init__(self, pair: Pair, process: WorkerProcess) -> None:
        siblings = pair.siblings(TWO)
        siblings.channels[0] = siblings.channels.pop(ONE)
        siblings.channels[0].number = 0
        self.log, self.settled, self.process = Told(), 0, process
        self.worker = Worker(pair)
        self.supervisor = Supervisor(pair.nodes[ONE], pair.reception(ONE), self.log.log, self._settled)
        self.supervisor._slots[TWO].process = process
        process.is_serving = True

    def _settled(self) -> None:
        self.settled += 1


async def waiting() -> WorkerProcess:
    """A process that waits until it is killed."""
    giving, given = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    given.close()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WAITS, stdin=asyncio.subprocess.PIPE)
    return WorkerProcess(TWO, 1, process, giving)


@asynccontextmanager
async def scene_of(example: Organisation) -> AsyncIterator[Scene]:
    """A supervisor with one worker that serves."""
    async with pair_of(example) as pair:
        scene = Scene(pair, await waiting())
        yield scene
        scene.worker.hangs.set()
        await scene.supervisor.close()
        scene.worker.orders.close()


@on_loop
async def test_all_that_comes_into_force_is_sent_to_each_worker_in_order(example: Organisation) -> None:
    async with scene_of(example) as scene:
        supervisor = scene.supervisor
        supervisor.version_changed()
        supervisor.crls_changed([example.file])
        supervisor.revoked([(b"issuer", 7)])
        supervisor.users_changed(UserDocument("example.test", POOL, 1))
        assert not supervisor.is_settled
        await supervisor.quiet()
        assert scene.worker.told == ["version", "crls", "revoke", "users"]
        assert (supervisor.is_settled, scene.settled) == (True, 1)
        assert supervisor.take_closed() == [f"link-closed-by-{name}" for name in scene.worker.told]
        assert supervisor.take_closed() == []


@on_loop
async def test_worker_that_cannot_follow_is_killed(example: Organisation) -> None:
    """Its links end with it (rule R7)."""
    async with scene_of(example) as scene:
        scene.worker.refuses = "the CRL cannot be read"
        scene.supervisor.revoked([(b"issuer", 7)])
        await scene.supervisor.quiet()
        assert await scene.process.ended() == -signal.SIGKILL
        assert scene.log.last("a worker cannot follow and is killed")["why"] == "the CRL cannot be read"


@on_loop
async def test_worker_that_does_not_serve_yet_has_its_time_to_start_for_a_revocation(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no links. On a busy machine each revocation ended its start, and the next one."""
    monkeypatch.setattr(module, "REVOKE_S", 0.01)
    async with scene_of(example) as scene:
        scene.worker.hangs.clear()
        scene.process.is_serving = False
        scene.supervisor.revoked([(b"issuer", 7)])
        await asyncio.sleep(5 * module.REVOKE_S)
        assert not scene.supervisor.is_settled
        scene.worker.hangs.set()
        await scene.supervisor.quiet()
        assert scene.worker.told == ["revoke"]
        scene.process.is_serving = True
        scene.worker.hangs.clear()
        scene.supervisor.revoked([(b"issuer", 8)])
        assert await scene.process.ended() == -signal.SIGKILL


@on_loop
async def test_worker_that_does_not_answer_is_killed(example: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALIVE_STEP_S", 0.01)
    async with scene_of(example) as scene:
        scene.worker.hangs.clear()
        await scene.supervisor._look_at(scene.process, reports=False)
        assert await scene.process.ended() == -signal.SIGKILL
        assert list(scene.log.events("a worker does not answer and is killed"))


@on_loop
async def test_worker_whose_loop_goes_on_is_not_killed_while_it_has_no_time_to_answer(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ALIVE_STEP_S", 0.01)
    async with scene_of(example) as scene:
        scene.worker.hangs.clear()
        looking = asyncio.create_task(scene.supervisor._look_at(scene.process, reports=False))
        to_supervisor = scene.worker.siblings.channel(SUPERVISOR)
        assert to_supervisor is not None
        for _ in range(4 * HUNG_STEPS):
            to_supervisor.send(BEAT, 0)
            await asyncio.sleep(module.ALIVE_STEP_S / 2)
        scene.worker.hangs.set()
        await looking
        assert not list(scene.log.events("a worker does not answer and is killed"))


@on_loop
async def test_log_reports_a_worker_that_is_silent_and_its_end(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No question waits for it meanwhile; what it must obey is sent to it all the same."""
    monkeypatch.setattr(module, "ALIVE_STEP_S", 0.01)
    async with scene_of(example) as scene:
        scene.supervisor._slots[ONE].process = scene.process
        supervisor, told = scene.supervisor, status_of(scene.supervisor._node)
        assert [one.state for one in supervisor.workers()] == ["serving", "serving"]
        scene.worker.hangs.clear()
        looking = asyncio.create_task(supervisor._look_at(scene.process, reports=False))
        await until(lambda: supervisor.workers()[1].state == "silent")
        assert await supervisor.ask_all("alive", reports=False) == {}
        assert "worker 2 does not answer" in supervisor.status(told).workers_fault
        assert await supervisor.tell_all("drain") == {TWO: True}
        await looking
        supervisor._tell_end(supervisor._slots[TWO], scene.process, await scene.process.ended())
        worker = supervisor.workers()[1]
        assert (worker.state, worker.pid, worker.why) == ("ended", 0, "it did not answer, and was killed")
        assert "worker 2 does not run: it did not answer, and was killed" in supervisor.status(told).workers_fault


@on_loop
async def test_worker_that_was_stopped_with_its_supervisor_is_not_killed(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine was stopped and goes on: no time in which the worker could have answered has passed."""
    monkeypatch.setattr(module, "ALIVE_STEP_S", 0.05)
    async with scene_of(example) as scene:
        looking = asyncio.create_task(scene.supervisor._look_at(scene.process, reports=False))
        await asyncio.sleep(0)
        time.sleep(2 * HUNG_STEPS * module.ALIVE_STEP_S)  # noqa: ASYNC251 - both are in this loop
        await looking
        assert not list(scene.log.events("a worker does not answer and is killed"))


@on_loop
async def test_status_of_a_worker_is_part_of_the_report_of_the_server(example: Organisation) -> None:
    async with scene_of(example) as scene:
        await scene.supervisor._look_at(scene.process, reports=True)
        assert scene.process.status is not None
        own = scene.process.status
        assert scene.supervisor.status(own).number == own.number
        await scene.supervisor._look_at(scene.process, reports=False)
        assert scene.process.status is own


@on_loop
async def test_question_is_refused_only_if_every_worker_refuses_it(example: Organisation) -> None:
    async with scene_of(example) as scene:
        assert await scene.supervisor.ask_all("alive", reports=False) == {TWO: None}
        with pytest.raises(OperatorError, match="no"):
            await scene.supervisor.ask_all("fails")
        scene.process.is_serving = False
        assert await scene.supervisor.ask_all("fails") == {}
        assert scene.supervisor.workers()[1].starts == 0


@on_loop
async def test_drain_has_workers_drain_and_kills_those_that_hurry(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene_of(example) as scene:
        hurry = asyncio.Event()
        hurry.set()
        monkeypatch.setattr(asyncio, "wait", _at_once(asyncio.wait))
        await scene.supervisor.drain(hurry)
        assert await scene.process.ended() == -signal.SIGKILL
        assert scene.worker.told == ["drain", "drain"]


@on_loop
async def test_drain_does_not_wait_for_a_worker_that_does_not_serve_yet(example: Organisation) -> None:
    """It has nothing to end, and no order to drain would have come: the server would have stopped after 18 s."""
    async with scene_of(example) as scene:
        starting = scene.supervisor._slots[ONE].process = await waiting()

        async def drain(_asked: Mapping[str, Any]) -> bool:
            assert await starting.ended() == -signal.SIGKILL
            scene.process.kill()
            return await scene.worker.done({})

        scene.worker.questions["drain"] = drain
        await scene.supervisor.drain(asyncio.Event())
        assert scene.worker.told == ["drain"]
        assert not list(scene.log.events("a worker cannot be replaced: sipmesh tries again"))


@on_loop
async def test_no_worker_is_started_by_a_server_that_ends(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither after the pause, nor if the server was ordered to end while the process was created."""
    spawned: list[WorkerProcess] = []

    async def spawn(*_: object) -> WorkerProcess:
        spawned.append(await waiting())
        scene.supervisor._is_ending = True
        return spawned[-1]

    monkeypatch.setattr(WorkerProcess, "spawn", spawn)
    async with scene_of(example) as scene:
        scene.process.kill()
        await scene.supervisor._keep(TWO)
        assert [await one.ended() for one in spawned] == [-signal.SIGKILL]
        await scene.supervisor._keep(TWO)
        assert not await scene.supervisor._is_replaced(TWO, scene.supervisor._slots[TWO])
        assert (len(spawned), scene.supervisor.workers()[1].starts) == (1, 0)
        assert not list(scene.log.events("a worker cannot be replaced: sipmesh tries again"))


def _at_once(wait: Any) -> Any:
    """Wait as asyncio does, but only for a moment: no process ends by itself here."""

    async def briefly(of: Any, **given: Any) -> Any:
        return await wait(of, **{**given, "timeout": 0.01})

    return briefly


@on_loop
async def test_worker_that_has_ended_is_reported_and_replaced_until_one_starts(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = 0

    async def spawn(*_: object) -> WorkerProcess:
        nonlocal starts
        starts += 1
        raise OSError(11, "no more processes")

    monkeypatch.setattr(WorkerProcess, "spawn", spawn)
    monkeypatch.setattr("sipmesh.server.workers.worker_slot.LONGEST_PAUSE_S", 0.01)
    async with scene_of(example) as scene:
        scene.supervisor._run(scene.supervisor._keep(TWO))
        reported = scene.settled
        scene.process.kill()
        await until(lambda: starts > 1)
        assert scene.settled == reported + 1
        assert scene.supervisor.workers()[1].why == "worker 2 cannot be started: no more processes"
        assert list(scene.log.events("a worker has ended and is replaced"))
        assert "no more processes" in scene.log.last("a worker cannot be replaced: sipmesh tries again")["why"]
        scene.supervisor._is_ending = True


@on_loop
async def test_only_so_much_is_kept_for_the_next_reply(example: Organisation) -> None:
    async with scene_of(example) as scene:
        scene.supervisor.closed = [f"link-{number}" for number in range(MOST_CLOSED)]
        scene.supervisor.revoked([(b"issuer", serial) for serial in (1, 2, 3)])
        await scene.supervisor.quiet()
        assert (len(scene.supervisor.closed), scene.supervisor.closed[-1]) == (MOST_CLOSED, "link-closed-by-revoke")
