"""A home pool that comes and goes around `takeover_after`, or that only some servers see, while users write to its user.

What was answered 200 or 202 is delivered, once and to its user alone; what was refused is not delivered, unless it was under
way when a server ended: no other server can know then whether the phone has it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scenarios.test_flows import ticking
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.sip.message import Request
from sipmesh.trust.role import Role
from support.backing import Divide, back, passed
from support.network import BEGAN, EXAMPLE, FE1, FE2, FE3, FE4, POOL, POOL2, Network, copied, finished
from support.peer import HungUpError, Peer
from support.running import on_jumping_loop, until

pytestmark = pytest.mark.wide  # each row takes seconds of a processor

FE5, POOL3 = "fe5.example.test", "pool3.example.test"
HOME, BACKUP = (FE1, FE2), (FE3, FE4)
AFTER_S = 10
ALICE = "sip:alice@example.test"
CONTACT = '<sip:alice@192.0.2.1;transport=tls>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000000000001>";reg-id=1'
PAUSES = (3, AFTER_S - 1, AFTER_S, AFTER_S + 1, AFTER_S + 2, 25)


@pytest.fixture(name="pools")
def _pools(tmp_path: Path) -> Network:
    """Alice is at home in the first pool, which the second one backs; the third sees both."""
    plans = (PoolPlan(pool, Role.FRONT_END, at) for pool, at in ((POOL, HOME), (POOL2, BACKUP), (POOL3, (FE5,))))
    made = finished(Organisation.build(tmp_path / "m", EXAMPLE, tuple(plans), issued_at=BEGAN))
    for user, pool in (("alice", POOL), ("bob", POOL2), ("carol", POOL3)):
        made.add_users(user, pool=pool)
    back(made, after_s=AFTER_S)
    return Network((copied(made, tmp_path / "e"),), starts=(*HOME, *BACKUP, FE5))


@dataclass
class Phone:
    """A phone of alice that logs in at one server after the other, and keeps what it gets."""

    network: Network
    servers: Sequence[str]
    got: Counter[bytes] = field(default_factory=Counter)

    async def run(self) -> None:
        """Log in, and answer messages until the link ends; then try the next server."""
        while True:
            for server in self.servers:
                with suppress(HungUpError, OSError):
                    await self._at(server)
                await asyncio.sleep(2)

    async def _at(self, server: str) -> None:
        async with await Peer.open(self.network.address(server), "alice@example.test") as peer:
            peer.contact = CONTACT
            if (await peer.register()).status != 200:
                return
            while True:
                message = await peer.receive()
                if isinstance(message, Request):
                    self.got[message.body] += 1
                    await peer.reply(message, 200)


@dataclass
class Writer:
    """A user at *server* who writes to alice each second; the status of each text."""

    network: Network
    user: str
    server: str
    statuses: dict[bytes, int] = field(default_factory=dict)
    unsure: set[bytes] = field(default_factory=set)
    asked: bytes = b""

    async def run(self) -> None:
        """Write without end."""
        async with await Peer.open(self.network.address(self.server), f"{self.user}@example.test") as peer:
            assert (await peer.register()).status == 200
            while True:
                text = self.asked = f"{self.server} {len(self.statuses)}".encode()
                asked = peer.request("MESSAGE", ALICE, [("content-type", "text/plain")], text)
                self.statuses[text] = (await peer.ask(asked)).status
                self.asked = b""
                await asyncio.sleep(1)


@dataclass
class Correspondence:
    """Writers at each server that is not of the home pool, and the phone that reads."""

    phone: Phone
    writers: list[Writer]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    def of(cls, network: Network, servers: Sequence[str]) -> Correspondence:
        """Begin it."""
        writers = [Writer(network, user, at) for user, at in (("bob", FE3), ("bob", FE4), ("carol", FE5))]
        made = cls(Phone(network, servers), writers)
        made.tasks = [asyncio.create_task(work) for work in (made.phone.run(), *(writer.run() for writer in writers))]
        return made

    def cut(self) -> None:
        """Have what is under way be unsure: a link ends now, and it may be refused although the phone has it."""
        for writer in self.writers:
            writer.unsure.add(writer.asked)

    async def stop(self, server: str) -> None:
        """End *server*."""
        self.cut()
        await self.phone.network.stop(server)
        self.cut()

    async def check(self) -> None:
        """End it after a while of peace, and compare what was answered with what has come."""
        await passed(60)
        assert not [task for task in self.tasks if task.done()]
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        statuses = {text: status for writer in self.writers for text, status in writer.statuses.items()}
        delivered = {text for text, status in statuses.items() if status in {200, 202}}
        unsure = {text for writer in self.writers for text in writer.unsure} - delivered
        got = {text: n for text, n in self.phone.got.items() if text in statuses}
        assert set(got.values()) == {1}
        assert got.keys() - unsure == delivered
        assert set(statuses.values()) <= {200, 202, 480, 500, 503}
        assert len(delivered) > len(statuses) / 3


@pytest.mark.parametrize("seed", range(2))
@on_jumping_loop
async def test_what_is_acknowledged_is_delivered_once_while_the_home_pool_comes_and_goes(
    pools: Network, seed: int
) -> None:
    chance, up = random.Random(seed), set(HOME)  # noqa: S311 - the same in each run
    async with pools, ticking(pools):
        written = Correspondence.of(pools, (*HOME, *BACKUP, FE5))
        for _ in range(8):
            for server in chance.choice([HOME, HOME, (FE1,), (FE2,)]):
                if server in up:
                    await written.stop(server)
                else:
                    pools.start(server)
                up ^= {server}
            await passed(chance.choice(PAUSES))
        for server in set(HOME) - up:
            pools.start(server)
        await written.check()


@pytest.mark.parametrize("seed", range(2))
@on_jumping_loop
async def test_what_is_acknowledged_is_delivered_once_while_only_some_servers_see_the_home_pool(
    pools: Network, seed: int
) -> None:
    chance, cut = random.Random(seed), set[tuple[str, str]]()  # noqa: S311 - the same in each run
    ways = [(home, other) for home in HOME for other in (*BACKUP, FE5)]
    async with pools, ticking(pools), AsyncExitStack() as stack:
        divides = {way: await stack.enter_async_context(Divide(pools, *way)) for way in ways}
        written = Correspondence.of(pools, (*BACKUP, FE5))
        for _ in range(8):
            unseen = chance.choice([{FE3}, {FE4}, set(BACKUP), {*BACKUP, FE5}, set[str]()])
            wanted = {way for way in ways if way[1] in unseen}
            for way in cut ^ wanted:
                if way in wanted:
                    written.cut()
                    divides[way].stop()
                else:
                    divides[way].go_on()
            cut = wanted
            await passed(chance.choice(PAUSES))
        for way in cut:
            divides[way].go_on()
        await until(lambda: not any(pools.nodes[server].takeovers.pools for server in BACKUP))
        await written.check()
