"""The leader of a management pool is a process that is killed or stopped at any instant: nothing that was acknowledged is lost.

PostgreSQL, both management servers and the operator's commands are processes of their own.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo import forkserver
from sipmesh.demo.forkserver import Forked
from sipmesh.errors import SipmeshError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask
from sipmesh.storage.management_db import ManagementDb
from support.managed import MGMT, MGMT2
from support.network import FE1, FE2
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
        for name in list(self.running):
            self.killed(name)

    def killed(self, name: str) -> None:
        """Kill a server that may be stopped, or may have ended before."""
        process = self.running.pop(name)
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


class Transcript:
    """What happened, with the seconds since the leader was killed; each line is printed."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def tell(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:5.1f} s  {what}")  # noqa: T201 - `make soak` shows it with -s


def led_by(told: Any) -> str:
    """Give who leads, and the fencing number, as the status shows it."""
    [leader] = [one for one in told["managers"] if one["fencing"]]
    return f"{leader['server']} leads with fencing number {leader['fencing']}"


@within(2 * PATIENCE_S)
async def test_death_of_the_leader_as_its_operator_sees_it(pool: Pool) -> None:
    """`-s` prints the transcript that docs/reliability.md has."""
    async with running(pool) as processes:
        number = await processes.publish(MGMT, "before")
        await until(lambda: pool.network.number(FE1) == number)
        told = Transcript()
        print()  # noqa: T201
        told.tell(f"{led_by(await processes.ask(MGMT, 'network'))}; {FE1} has version {number}")
        processes.killed(MGMT)
        told.tell(f"kill -9 {MGMT}")
        alice, bob = await pool.network.agent("alice", FE1), await pool.network.agent("bob", FE1)
        assert (await alice.message(bob.party.aor, "still here")).status == 200
        told.tell(f"alice and bob log in at {FE1}, and alice's message is answered with 200")
        told.tell(led_by(await processes.answers(MGMT2, "network")))
        after = await processes.publish(MGMT2, "after")
        told.tell(f"{MGMT2} has published version {after}")
        await until(lambda: pool.network.number(FE1) == after)
        told.tell(f"{FE1} has version {after}")
        crl = pool.network.folder(FE1) / "ca" / "issuing.crl"
        before = crl.read_bytes()
        CaGenerations(pool.network.folder(MGMT2) / "ca").revoke_servers((FE2,), Reason.SUPERSEDED, datetime.now(UTC))
        await processes.ask(MGMT2, "files-changed")
        await until(lambda: crl.read_bytes() != before)
        told.tell(f"the certificate of {FE2} is revoked, and {FE1} has the new CRL")
        await processes.serve(MGMT)
        told.tell(f"{MGMT} runs again; {led_by(await processes.answers(MGMT2, 'network'))}")
        assert [number for number, _ in history_of(pool)] == list(range(1, after + 1))
        told.tell(f"versions 1 to {after}: each number once, and the audit log is whole")
