"""The leader of a management pool is a process that is killed or stopped at any instant: nothing that was acknowledged is lost.

PostgreSQL, both management servers and the operator's commands are processes of their own.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo import forkserver
from sipmesh.demo.forkserver import Forked
from sipmesh.errors import SipmeshError
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask
from sipmesh.storage.management_db import ManagementDb
from support.managed import MGMT, MGMT2
from support.network import FE1
from support.pool import Pool, build_pool
from support.running import LOOK_AGAIN_S, until, within

pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.soak]
PATIENCE_S = 100.0
"""Ten times what is promised: another server leads, and publishes, within 10 s."""

INSTANTS_S = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
"""After the request to publish."""


class Processes:
    """Both management servers as processes, and a front end in this one."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.running = pool, dict[str, Forked]()

    def folder(self, name: str) -> Path:
        return self.pool.network.folder(name)

    async def serve(self, name: str) -> None:
        """Start a server, and wait until it answers."""
        file = self.folder(name) / "topology.yaml"
        with (self.folder(name) / f"{name}.log").open("ab") as log:
            self.running[name] = forkserver.start(("serve", name, "--topology", str(file)), log, stdin=True)
        await self.answers(name, "status")

    async def ask(self, name: str, command: str, **given: Any) -> Any:
        return await ask(self.folder(name) / "state" / f"{name}{SOCKET_SUFFIX}", command, PATIENCE_S, **given)

    async def answers(self, name: str, command: str) -> Any:
        """Wait until a server answers a command without an error."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await self.ask(name, command)
                except SipmeshError:
                    await asyncio.sleep(LOOK_AGAIN_S)

    async def publish(self, name: str, why: str) -> int:
        plan = await self.ask(name, "plan")
        told = await self.ask(name, "publish", why=why, base=plan["base"], digest=plan["digest"])
        return int(told["version"])

    def send(self, name: str, number: signal.Signals) -> None:
        self.running[name].send_signal(number)

    def end(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()


@pytest.fixture(name="pool")
def _pool(tmp_path: Path, postgres_url: str) -> Pool:
    organisation, entry = build_pool(tmp_path / "m")
    return Pool.make(organisation, entry, tmp_path, postgres_url)


@asynccontextmanager
async def running(pool: Pool) -> AsyncIterator[Processes]:
    """Let the first server lead, the second follow, and a front end have the newest version."""
    processes = Processes(pool)
    async with pool.network:
        try:
            await processes.serve(MGMT)
            await pool.network.start(FE1)
            pool.join()
            await pool.join_pool()
            await processes.serve(MGMT2)
            yield processes
        finally:
            await pool.network.stop(FE1)
            processes.end()


def history_of(pool: Pool) -> list[tuple[int, str]]:
    """See that history and audit log are whole, and return all versions with their reasons."""
    management_db = ManagementDb(pool.network.folder(MGMT2))
    try:
        assert management_db.history.verify() == []
        versions = [(version.number, version.why) for version in management_db.history.list()]
        assert [number for number, _ in versions] == list(range(1, len(versions) + 1))
        return versions
    finally:
        management_db.close()


@pytest.mark.parametrize("instant_s", INSTANTS_S)
@within(2 * PATIENCE_S)
async def test_other_server_publishes_and_revokes_after_kill_9_at_any_instant(pool: Pool, instant_s: float) -> None:
    async with running(pool) as processes:
        acknowledged = [await processes.publish(MGMT, "before")]
        publishing = asyncio.create_task(processes.publish(MGMT, "while it is killed"))
        await asyncio.sleep(instant_s)
        processes.send(MGMT, signal.SIGKILL)
        with suppress(SipmeshError):
            acknowledged.append(await publishing)
        await processes.answers(MGMT2, "network")
        acknowledged.append(await processes.publish(MGMT2, "after"))
        await until(lambda: pool.network.number(FE1) == acknowledged[-1])
        assert len(set(acknowledged)) == len(acknowledged)
        versions = history_of(pool)
        assert {number for number, _ in versions} >= set(acknowledged)


@pytest.mark.parametrize("instant_s", INSTANTS_S)
@within(2 * PATIENCE_S)
async def test_nothing_that_a_stopped_leader_does_afterwards_counts(pool: Pool, instant_s: float) -> None:
    async with running(pool) as processes:
        await processes.publish(MGMT, "before")
        publishing = asyncio.create_task(processes.publish(MGMT, "while it is stopped"))
        await asyncio.sleep(instant_s)
        processes.send(MGMT, signal.SIGSTOP)
        await processes.answers(MGMT2, "network")
        ours = await processes.publish(MGMT2, "by the new leader")
        await until(lambda: pool.network.number(FE1) >= ours)
        processes.send(MGMT, signal.SIGCONT)
        done = (await asyncio.gather(publishing, return_exceptions=True))[0]
        last = await processes.publish(MGMT2, "again by the new leader")
        await until(lambda: pool.network.number(FE1) == last)
        versions = dict(history_of(pool))
        assert versions[ours] == "by the new leader"
        if isinstance(done, int):
            assert versions[done] == "while it is stopped"
            assert done < ours
        with pytest.raises(SipmeshError, match=f"{MGMT2} leads|leads the management pool"):
            await processes.publish(MGMT, "too late")
