"""Every request is answered: whichever server starts first, with and without workers, and over the end of any process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from itertools import permutations
from pathlib import Path

import pytest

from sipmesh.demo.organisation import PoolPlan
from sipmesh.trust.role import Role
from support.answered import Answered, Phone, message
from support.managed import Change, Managed, build_managed
from support.network import BOT, EDGE, EXAMPLE, FE1, FE2, POOL
from support.real_network import RealNetwork, workers_at
from support.running import within

USERS = tuple(f"user{number}" for number in range(12))
PHONES_OF_A_SERVER = 3


@asynccontextmanager
async def network_of(tmp_path: Path, workers: Collection[str]) -> AsyncIterator[RealNetwork]:
    """Management, two front ends, an edge and an application; *workers* are the servers that have workers."""
    application = PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL, "speaks_for": [EXAMPLE]})
    organisation = build_managed(tmp_path / "m", application)
    organisation.add_users(*USERS, pool=POOL)
    async with RealNetwork(Managed(organisation, tmp_path)) as network:
        await network.managed.publish(workers_at(workers))
        yield network


async def phones_at(network: RealNetwork, *servers: str) -> list[Phone]:
    """Several phones at each server, so that each worker has one as good as always."""
    users = iter(USERS)
    return [await network.phone(server, next(users)) for server in servers for _ in range(PHONES_OF_A_SERVER)]


ORDERS = [
    pytest.param(order, workers, marks=() if (order, workers) == ((FE2, EDGE, FE1), (FE1, EDGE)) else pytest.mark.soak)
    for workers in ((FE1,), (FE1, EDGE), (EDGE,), (FE1, FE2, EDGE))
    for order in permutations((FE1, FE2, EDGE))
]


@pytest.mark.parametrize(("order", "workers"), ORDERS)
@within(120)
async def test_every_request_is_answered_whichever_server_starts_first(
    tmp_path: Path, order: tuple[str, ...], workers: tuple[str, ...]
) -> None:
    async with network_of(tmp_path, workers) as network:
        for name in order:
            await network.start(name)
        await network.follow()
        phones = await phones_at(network, FE1, FE2, EDGE)
        await network.application(FE2)
        application = await network.application(FE1)
        for phone in phones:  # a worker hears of the link of another one a moment later
            while await message(phone, application) != 200:
                pass
        answered = Answered()
        await answered.all_pairs([*phones, application])
        assert (answered.unanswered, answered.failed) == ([], [])


KEPT = ": 202"
"""A message that is kept behind others which came while the phone was away, and which are being delivered."""

Fault = Callable[[RealNetwork], Awaitable[None]]


async def kill_worker(network: RealNetwork) -> None:
    await network.signal_worker(FE1, signal.SIGKILL)


async def hang_worker(network: RealNetwork) -> None:
    await network.signal_worker(FE1, signal.SIGSTOP)


async def kill_worker_of_edge(network: RealNetwork) -> None:
    await network.signal_worker(EDGE, signal.SIGKILL)


async def kill_supervisor(network: RealNetwork) -> None:
    await network.restart(FE1, signal.SIGKILL)


async def hang_supervisor(network: RealNetwork) -> None:
    """Its workers end after ten seconds."""
    network.started[FE1].send_signal(signal.SIGSTOP)
    async with asyncio.timeout(30):
        await network.refuses(FE1)
    await network.restart(FE1, signal.SIGKILL)


async def restart_one(network: RealNetwork) -> None:
    await network.restart(FE1)


async def restart_other(network: RealNetwork) -> None:
    await network.restart(FE2)


async def restart_edge(network: RealNetwork) -> None:
    await network.restart(EDGE)


async def reload(network: RealNetwork) -> None:
    """Put other versions in force."""
    for number in (5, 6):
        await network.managed.publish(blocking(f"evil{number}.test"))
        await network.follow()


def blocking(domain: str) -> Change:
    """Block *domain*."""
    return lambda document: document.update({"federation": {"blocked": [domain]}})


async def one_process_again(network: RealNetwork) -> None:
    """Take the workers away, and give them back; each needs a restart."""
    for servers in ((), (FE1, EDGE)):
        await network.managed.publish(workers_at(servers))
        await network.restart(FE1)
        await network.restart(EDGE)


FAULTS: tuple[Fault, ...] = (
    kill_worker,
    hang_worker,
    kill_worker_of_edge,
    kill_supervisor,
    hang_supervisor,
    restart_one,
    restart_other,
    restart_edge,
    reload,
    one_process_again,
)


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=() if fault is kill_worker else pytest.mark.soak) for fault in FAULTS]
)
@within(240)
async def test_no_sender_is_left_without_an_answer_over_a_fault(tmp_path: Path, fault: Fault) -> None:
    """A sender whose own link closes knows that; each other one gets a final response. Afterwards all is well again."""
    async with network_of(tmp_path, (FE1, EDGE)) as network:
        for name in (FE2, EDGE, FE1):
            await network.start(name)
        await network.follow()
        phones = await phones_at(network, FE1, FE2, EDGE)
        answered, over = Answered(), asyncio.Event()
        series = asyncio.create_task(answered.until(over, phones))
        await answered.some()
        await fault(network)
        for name in (FE1, FE2, EDGE):
            await network.serves(name)
        await network.follow()
        over.set()
        await series
        assert answered.unanswered == []
        phones = [phone if phone.is_connected else await network.phone(phone.where, phone.user) for phone in phones]
        after = Answered()
        await after.all_pairs(phones)
        failed = [what for what in after.failed if not what.endswith(KEPT)]
        assert (after.unanswered, failed) == ([], [])
