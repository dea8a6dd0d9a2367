"""A pool is updated, one server after the other, under traffic: processes of an earlier release run beside those of this one."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scenarios.test_rolling_restart import MATES, UpCall, everything_arrives, more_of_everything, traffic, with_users
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import SipmeshError
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask
from support.network import FE1, FE2
from support.running import LOOK_AGAIN_S, within
from support.valkey_server import ValkeyServer
from upgrades.conftest import taken
from upgrades.earlier_release import EarlierRelease
from upgrades.recorded_folder import BEFORE

pytestmark = pytest.mark.soak
USERS, TEXTS = 8, 10
STOP_S = 20.0
"""TimeoutStopSec of the unit: systemd kills a server that has not ended by then."""
Start = Callable[[str], subprocess.Popen[bytes]]


@dataclass
class MixedPool:
    """The two front ends of *organisation*, each a process of *earlier* or of this release."""

    organisation: Organisation
    earlier: EarlierRelease
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    async def start(self, server: str, release: EarlierRelease) -> None:
        """Start *server* as *release*, and wait until it answers."""
        with (self.organisation.folder / f"{server}.log").open("ab") as log:
            words = ("serve", server, "--topology", self.organisation.file)
            self.running[server] = release.start(*words, where=self.organisation.folder, log=log)
        while True:
            assert self.running[server].poll() is None, self.log(server)
            try:
                await ask(self.organisation.folder / "state" / f"{server}{SOCKET_SUFFIX}", "status")
            except SipmeshError:
                await asyncio.sleep(LOOK_AGAIN_S)
            else:
                return

    async def replace(self, server: str, release: EarlierRelease, *codes: int) -> None:
        """Stop *server* as systemd does, and start it as *release*. It ends with 0, or with one of *codes*."""
        process = self.running[server]
        process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        assert code in {0, *codes}, self.log(server)
        await self.start(server, release)

    def log(self, server: str) -> str:
        """All that *server* has logged, as either release."""
        return (self.organisation.folder / f"{server}.log").read_text()

    def kill(self) -> None:
        """Leave no process behind."""
        for process in self.running.values():
            process.kill()
            process.wait()


@asynccontextmanager
async def pool_of(organisation: Organisation, earlier: EarlierRelease) -> AsyncIterator[MixedPool]:
    """Run both front ends as *earlier*."""
    pool = MixedPool(organisation, earlier)
    try:
        for server in MATES:
            await pool.start(server, earlier)
        yield pool
    finally:
        pool.kill()


@pytest.fixture(name="ours")
def _ours() -> EarlierRelease:
    """This release, started in the same way."""
    from support.checkout import ROOT

    return EarlierRelease("this", ROOT)


@pytest.mark.parametrize("store", ["file", pytest.param("valkey", marks=pytest.mark.peer("valkey"))])
@within(300.0)
async def test_update_from_the_release_before_and_back_loses_no_message_and_no_call(
    store: str, example: Organisation, ours: EarlierRelease, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """One server after the other becomes new, then old again, then new; users of both servers talk to each other all the time."""
    earlier = taken(BEFORE, tmp_path)
    if store == "valkey":
        valkey: ValkeyServer = request.getfixturevalue("valkey")
        example.document["storage"] = {"bindings": f"valkey://127.0.0.1:{valkey.port}"}
        example.write()
    network = with_users(example, USERS)
    async with network, pool_of(example, earlier) as pool:
        call = await UpCall.begin(network)
        async with traffic(network, USERS) as phones:
            await more_of_everything(phones, TEXTS)
            for release in (ours, earlier, ours):
                for server, other in (MATES, MATES[::-1]):
                    moving = asyncio.create_task(call.move(other))
                    await pool.replace(server, release)
                    await moving
                    assert await call.passes("INFO")
                    await more_of_everything(phones, TEXTS)
            assert await call.passes("BYE")
            await everything_arrives(network, phones)


@within(300.0)
async def test_update_from_the_first_build_loses_no_message(
    example: Organisation, ours: EarlierRelease, tmp_path: Path
) -> None:
    """Its registrations file has another format: while the pool is mixed, users of one server are away for the other one.

    The sender gets an error for such a user, or the message is stored: what is answered with 200 or 202 arrives. A server of that
    build waits for ever for a link that it has opened while it drained, so that systemd may have to kill it.
    """
    earlier = taken("3f4f5b6", tmp_path)
    network = with_users(example, USERS)
    async with network, pool_of(example, earlier) as pool, traffic(network, USERS) as phones:
        await more_of_everything(phones, TEXTS)
        await pool.replace(FE1, ours, -signal.SIGKILL)
        await pool.replace(FE2, ours, -signal.SIGKILL)
        await more_of_everything(phones, TEXTS)
        await everything_arrives(network, phones)
