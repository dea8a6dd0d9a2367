"""Two front ends restart one after the other, under messages, registrations and a call: nothing that was accepted is lost."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.client.judge import Trust
from sipmesh.demo.organisation import Organisation
from sipmesh.server.draining import Draining
from sipmesh.server.proxy.liveness.keepalives import SILENT
from support.network import FE1, FE2, Network
from support.peer import Peer
from support.process import Process, serving, spawn
from support.roaming import RoamingPhone
from support.running import on_loop, until, within
from support.talking import inside_of, talking

MATES = (FE1, FE2)
REFRESH_EVERY = 3
Restart = Callable[[str], Awaitable[None]]


@asynccontextmanager
async def traffic(network: Network, users: int) -> AsyncIterator[list[RoamingPhone]]:
    """Phones at both servers, each of which sends texts to the next one and registers again now and then."""
    example = network.organisations[0]
    names = [f"user{number}" for number in range(users)]
    trust = Trust.of_pem(example.root.read_bytes())
    addresses = [network.address(server) for server in MATES]
    phones = [
        RoamingPhone(f"{name}@{example.domain}", trust, addresses[number % 2 :] + addresses[: number % 2])
        for number, name in enumerate(names)
    ]
    staying = [asyncio.create_task(phone.stay()) for phone in phones]
    stop = asyncio.Event()
    pairs = zip(phones, [*phones[1:], phones[0]], strict=True)
    talking_ = [asyncio.create_task(talk(phone, to.address, stop)) for phone, to in pairs]
    try:
        yield phones
        stop.set()
        await asyncio.gather(*talking_)  # each text that was begun gets there
    finally:
        for task in (*talking_, *staying):
            task.cancel()
        await asyncio.gather(*talking_, *staying, return_exceptions=True)


async def talk(phone: RoamingPhone, to: str, stop: asyncio.Event) -> None:
    """Send one text after the other until *stop* is set."""
    for number in itertools.count():
        if stop.is_set():
            return
        await phone.deliver(to, f"{phone.address} {number}")
        if number % REFRESH_EVERY == 0:
            await phone.refresh()


async def more_of_everything(phones: list[RoamingPhone], by: int) -> None:
    """Wait until each phone has delivered *by* more texts, and has registered again."""
    wanted = [(len(phone.delivered) + by, phone.refreshes + 1) for phone in phones]
    await until(
        lambda: all(
            len(one.delivered) >= texts and one.refreshes >= refreshes
            for one, (texts, refreshes) in zip(phones, wanted, strict=True)
        )
    )


async def everything_arrives(network: Network, phones: list[RoamingPhone]) -> None:
    """Each text that was answered with 200 is there; a stored text (202) comes by itself."""
    pairs = list(zip(phones, [*phones[1:], phones[0]], strict=True))

    def has_arrived() -> bool:
        for node in network.nodes.values():  # as its timer does
            node.events.sweep()
        return all(receiver.received[text] for sender, receiver in pairs for text in sender.delivered)

    await until(has_arrived)


class UpCall:
    """A call of alice and bob, who log in at the other server while theirs restarts."""

    def __init__(self, network: Network, alice: Peer, bob: Peer, dialog: Dialog) -> None:
        self._network, self.alice, self.bob, self.dialog = network, alice, bob, dialog

    @classmethod
    async def begin(cls, network: Network) -> UpCall:
        """Bring it up through the first server."""
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        return cls(network, alice, bob, dialog)

    async def move(self, server: str) -> None:
        """Both links have ended: log in at *server*, as the same devices in the same call."""
        await self.alice.hung_up()
        await self.bob.hung_up()
        contact, tag = self.alice.contact, self.bob.tag
        self.alice, self.bob = await self._network.phone("alice", server), await self._network.phone("bob", server)
        self.alice.contact, self.bob.tag = contact, tag

    async def passes(self, method: str) -> bool:
        """Whether a request within the call gets to the other side, and its answer back."""
        await self.alice.send(inside_of(self.dialog, self.alice, method))
        await self.bob.reply(await self.bob.request_in(method), 200)
        return (await self.alice.final(method=method)).status == 200


async def rolling_restart(network: Network, restart: Restart, *, users: int, texts: int) -> list[RoamingPhone]:
    """Restart both servers under traffic, and see that the call goes on all the while."""
    call = await UpCall.begin(network)
    async with traffic(network, users) as phones:
        await more_of_everything(phones, texts)
        for server, other in (MATES, MATES[::-1]):
            moving = asyncio.create_task(call.move(other))
            await restart(server)
            await moving
            assert await call.passes("INFO")
            await more_of_everything(phones, texts)
        assert await call.passes("BYE")
        await everything_arrives(network, phones)
    return phones


def with_users(example: Organisation, users: int) -> Network:
    example.add_users(*(f"user{number}" for number in range(users)))
    return Network((example,))


@on_loop
@pytest.mark.wide
async def test_rolling_restart_loses_no_message_and_drops_no_call(example: Organisation) -> None:
    network = with_users(example, 4)

    async def restart(server: str) -> None:
        await Draining(network.nodes[server], network.told[server].log).run(asyncio.Event())
        assert network.told[server].last("drained")["given_up"] == 0
        await network.stop(server)
        network.start(server)

    network.starts = MATES
    async with network:
        phones = await rolling_restart(network, restart, users=4, texts=3)
        assert sum(phone.logins for phone in phones) >= 6  # each server had two, and both have restarted


@pytest.mark.soak
@within(600.0)
async def test_rolling_restarts_of_processes_under_load_lose_nothing(example: Organisation) -> None:
    """Five times over, with forty phones that send without a pause; each stop keeps the promise of fifteen seconds."""
    network, running = with_users(example, 40), dict[str, Process]()

    async def restart(server: str) -> None:
        began = asyncio.get_running_loop().time()
        assert await running[server].end(signal.SIGTERM) == 0
        assert asyncio.get_running_loop().time() - began < 15
        running[server] = await spawn(example, server)
        await running[server].ready()

    async with network, AsyncExitStack() as stack:
        for server in MATES:
            running[server] = await stack.enter_async_context(serving(example, server))
        stack.push_async_callback(end_all, running)
        for _ in range(5):
            await rolling_restart(network, restart, users=40, texts=20)
        for process in running.values():  # no server that was only busy was considered lost
            assert SILENT not in process.log


async def end_all(running: dict[str, Process]) -> None:
    """Leave no process behind."""
    for process in running.values():
        if process.started.poll() is None:
            process.started.kill()
            await process.started.waited()
