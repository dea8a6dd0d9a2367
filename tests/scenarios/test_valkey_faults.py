"""The store of a pool on two machines is killed, hangs, is full, slow, cut off, or moves to another node: what users see.

`-s` prints the table.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from sipmesh.demo.organisation import Organisation
from support.bad_network import BadNetwork
from support.between import Between
from support.network import FE1, FE2
from support.peer import Peer
from support.running import LOOK_AGAIN_S, until, within
from support.two_hosts import TwoHosts
from support.valkey_server import Sentinel, ValkeyServer

pytestmark = [pytest.mark.peer("valkey"), pytest.mark.soak]
USERS = ("alice", "bob", "carol")
HEALED_S = 3.0
"""What the how-to page promises; asserted at ten times this."""


@dataclass
class Seen:
    """What users see during one fault, and how long it takes until all is well after it."""

    fault: str
    local: int = 0
    known: int = 0
    unknown: int = 0
    refresh: int = 0
    newcomer: int = 0
    healed_s: float = 0.0
    told: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        figures = (self.local, self.known, self.unknown, self.refresh, self.newcomer, f"{self.healed_s:.1f}")
        return " | ".join([self.fault, *map(str, figures)])


@dataclass
class Bed:
    """Alice and bob at fe1, carol at fe2; dave has no phone, and is never registered before a fault."""

    network: TwoHosts
    phones: dict[str, Peer] = field(default_factory=dict)

    async def begun(self) -> Self:
        await self.network.connected()
        for user, server in zip(USERS, (FE1, FE1, FE2), strict=True):
            self.phones[user] = await self.network.phone(user, server)
        await self.reach("alice", "carol")
        return self

    async def reach(self, sender: str, receiver: str) -> int:
        """Send a message, have it answered if it comes, and give the status."""
        source, target = self.phones[sender], self.phones[receiver]
        await source.send(source.request("MESSAGE", f"sip:{receiver}@example.test"))
        answering = asyncio.create_task(self._answer(target))
        try:
            return (await source.final()).status
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def _answer(self, phone: Peer) -> None:
        await phone.reply(await phone.request_in("MESSAGE"), 200)

    async def register(self, users: Sequence[str]) -> None:
        """Register *users* at fe1 one after the other, each until it is acknowledged."""
        for user in users:
            phone = await self.network.peer(FE1, user)
            while (status := (await phone.register()).status) != 200:
                assert status == 503
                await asyncio.sleep(LOOK_AGAIN_S)
            self.phones[user] = phone

    async def look(self, seen: Seen) -> Seen:
        """See what users see now."""
        seen.local = await self.reach("alice", "bob")
        seen.known = await self.reach("alice", "carol")
        alice = self.phones["alice"]
        seen.unknown = (await alice.ask(alice.request("MESSAGE", "sip:dave@example.test"))).status
        seen.refresh = (await self.phones["bob"].register()).status
        newcomer = await self.network.peer(FE1, "dave")
        seen.newcomer = (await newcomer.register()).status
        return seen

    async def healed(self, seen: Seen, began: float) -> Seen:
        """Wait until each user reaches each other, and a user without a phone is reported as away."""
        await self.network.connected()
        assert await self.reach("carol", "alice") == 200
        assert await self.reach("alice", "carol") == 200
        newcomer = await self.network.peer(FE1, "dave")
        while (await newcomer.register()).status != 200:
            await asyncio.sleep(LOOK_AGAIN_S)
        seen.healed_s = time.monotonic() - began
        for name in (FE1, FE2):
            lines = [line["why"] for line in self.network.told[name].events("registrations cannot be stored")]
            seen.told += lines
            assert len(lines) <= 1
        return seen


def failing(bed: Bed) -> bool:
    """Whether fe1 has noticed."""
    return bool(list(bed.network.told[FE1].events("registrations cannot be stored")))


Fault = tuple[Callable[[ValkeyServer], object], Callable[[ValkeyServer], object]]
FAULTS: dict[str, Fault] = {
    "killed": (ValkeyServer.kill, ValkeyServer.start),
    "hung": (ValkeyServer.hang, ValkeyServer.go_on),
    "full": (
        lambda store: store.ask("CONFIG", "SET", "maxmemory", "1"),
        lambda store: store.ask("CONFIG", "SET", "maxmemory", "0"),
    ),
}


@pytest.fixture(name="dave")
def _dave(example: Organisation) -> Organisation:
    example.add_users("dave")
    return example


@pytest.mark.parametrize("name", FAULTS)
@within(240)
async def test_users_of_one_machine_and_known_users_go_on(
    dave: Organisation, tmp_path: Path, valkey: ValkeyServer, name: str
) -> None:
    begin, end = FAULTS[name]
    async with TwoHosts.of_pool(dave, tmp_path, valkey) as network:
        bed = await Bed(network).begun()
        begin(valkey)
        try:
            await until(lambda: failing(bed))
            seen = await bed.look(Seen(name))
        finally:
            began = time.monotonic()
            end(valkey)
        print(f"\n{await bed.healed(seen, began)}")  # noqa: T201 - the table of the page
        assert (seen.local, seen.known, seen.refresh, seen.newcomer) == (200, 200, 200, 503)
        assert seen.unknown == (480 if name == "full" else 503)
        assert seen.healed_s < 10 * HEALED_S


BEFORE, USERS_AROUND = 4, 12
"""Users who register before the fault, and in all."""


@pytest.mark.parametrize("name", FAULTS)
@within(240)
async def test_registration_that_was_acknowledged_around_a_fault_is_never_lost(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer, name: str
) -> None:
    """Users register one after the other while the fault comes and goes. A refused user gets 503, and tries again."""
    users = [f"user{number}" for number in range(USERS_AROUND)]
    example.add_users(*users)
    begin, end = FAULTS[name]
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        bed = await Bed(network).begun()
        registering = asyncio.create_task(bed.register(users))
        await until(lambda: users[BEFORE - 1] in bed.phones)
        begin(valkey)
        try:
            await until(lambda: failing(bed))
            assert users[-1] not in bed.phones
        finally:
            end(valkey)
        await registering
        await network.connected()
        for user in users:
            assert await bed.reach("carol", user) == 200


def through(network: TwoHosts, number: int, between: Between) -> None:
    """Have the server of a host reach the store through *between*."""
    host = network.organisations[number]
    document: dict[str, Any] = copy.deepcopy(host.document)
    document["storage"]["bindings"] = f"valkey://127.0.0.1:{between.address[1]}"
    host.document = document
    host.write()


@within(240)
async def test_server_that_is_cut_off_ends_after_half_a_minute_and_is_back_at_once(
    dave: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    async with Between(("127.0.0.1", valkey.port)) as between:
        network = TwoHosts.of_pool(dave, tmp_path, valkey)
        through(network, 1, between)
        async with network:
            bed = await Bed(network).begun()
            between.stop()
            await until(lambda: list(network.told[FE2].events("registrations cannot be stored")))
            assert await bed.reach("alice", "carol") == 200
            carol = bed.phones["carol"]
            assert (await carol.ask(carol.request("MESSAGE", "sip:bob@example.test"))).status in {200, 503}
            await until(lambda: not network.store_of(FE1)._servers.table.incarnations())
            alice = bed.phones["alice"]
            assert (await alice.ask(alice.request("MESSAGE", "sip:carol@example.test"))).status == 480
            began = time.monotonic()
            between.go_on()
            print(f"\n{await bed.healed(Seen('split'), began)}")  # noqa: T201


@within(240)
async def test_slow_store_delays_what_is_not_in_memory_and_refuses_nothing(
    dave: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """200 ms each way."""
    async with BadNetwork(("127.0.0.1", valkey.port)) as between:
        network = TwoHosts.of_pool(dave, tmp_path, valkey)
        through(network, 1, between)
        async with network:
            bed = await Bed(network).begun()
            between.delay_s = 0.2
            dave_there = await network.phone("dave", FE2)
            assert dave_there.user
            bed.phones["dave"] = dave_there
            assert await bed.reach("carol", "dave") == 200
            assert await bed.reach("alice", "dave") == 200
            assert not list(network.told[FE2].events("registrations cannot be stored"))


@within(240)
async def test_failover_by_sentinel_keeps_every_registration(
    dave: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    with ExitStack() as stack:
        replica = stack.enter_context(ValkeyServer(tmp_path / "replica", "--replicaof", f"127.0.0.1 {valkey.port}"))
        sentinel = stack.enter_context(Sentinel(tmp_path / "sentinel", valkey, "registrations"))
        await until(lambda: _knows_replica(sentinel))
        network = TwoHosts.of_pool(dave, tmp_path, valkey, sentinel="registrations")
        for host in network.organisations:
            document: dict[str, Any] = copy.deepcopy(host.document)
            document["storage"]["bindings"] = f"valkey://127.0.0.1:{sentinel.port}"
            host.document = document
            host.write()
        async with AsyncExitStack() as running:
            await running.enter_async_context(network)
            bed = await Bed(network).begun()
            began = time.monotonic()
            valkey.kill()
            await until(lambda: _is_primary(replica))
            print(f"\n{await bed.healed(Seen('failover'), began)}")  # noqa: T201


def _knows_replica(sentinel: Sentinel) -> bool:
    found = sentinel.ask("SENTINEL", "REPLICAS", "registrations")
    return isinstance(found, list) and len(found) > 0


def _is_primary(server: ValkeyServer) -> bool:
    with suppress(ConnectionError):  # it ends connections while it takes over
        role = server.ask("ROLE")
        return isinstance(role, list) and role[0] == b"master"
    return False
