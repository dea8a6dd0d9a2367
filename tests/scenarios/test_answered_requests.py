"""Every request is answered: whichever server starts first, with and without workers, and over the end of any process."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.demo.ports import HOST
from sipmesh.trust.role import Role
from support.answered import Answered, Phone, message
from support.managed import MGMT, Change, Managed, build_managed
from support.network import (
    BOT,
    EDGE,
    EXAMPLE,
    FE1,
    FE2,
    PARTNER_EDGE,
    PARTNER_EDGES,
    PARTNER_FE,
    POOL,
    Network,
    build_partner,
    copied,
    federate,
)
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
async def test_every_request_is_answered_with_any_server_started_first(
    tmp_path: Path, order: tuple[str, ...], workers: tuple[str, ...]
) -> None:
    async with network_of(tmp_path, workers) as network:
        for name in order:
            await network.start(name)
        await network.follow()
        phones = await phones_at(network, FE1, FE2, EDGE)
        await network.application(FE2)
        application = await network.application(FE1)
        for phone in phones:  # a worker learns of the link of another one a moment later
            while await message(phone, application) != 200:
                pass
        answered = Answered()
        await answered.all_pairs([*phones, application])
        assert (answered.unanswered, answered.failed) == ([], [])


def find_partner(organisation: Organisation) -> None:
    """Give the address of the partner's edge, without DNS."""
    document: dict[str, Any] = organisation.document
    document["federation"]["partners"][0]["address"] = HOST
    organisation.write()


def keep_files_of_partner(organisation: Organisation) -> None:
    """Put the anchors and the CRLs of the partner below the topology, from where management gives them to the servers."""
    document: dict[str, Any] = organisation.document
    [entry] = document["federation"]["partners"]
    folder = organisation.folder / "partners"
    folder.mkdir(exist_ok=True)
    for key in ("anchors", "crls"):
        files = [Path(shutil.copy(file, folder / f"{key}-{Path(file).name}")) for file in entry[key]]
        entry[key] = [str(file.relative_to(organisation.folder)) for file in files]
    organisation.write()


@pytest.mark.soak
@pytest.mark.parametrize("order", [(FE1, EDGE), (EDGE, FE1)])
@within(120)
async def test_every_request_to_and_from_a_partner_is_answered(tmp_path: Path, order: tuple[str, ...]) -> None:
    """While management has the edge try its links to the partner again and again: it is the supervisor that opens them."""
    partner = copied(build_partner(tmp_path / "model"), tmp_path / "p")
    organisation = build_managed(tmp_path / "m")
    organisation.add_users(*USERS, pool=POOL)
    federate(organisation, partner)
    for one in (organisation, partner):
        find_partner(one)
    keep_files_of_partner(organisation)
    async with (
        RealNetwork(Managed(organisation, tmp_path)) as network,
        Network((partner,), starts=(PARTNER_FE, PARTNER_EDGE)) as theirs,
    ):
        await network.managed.publish(workers_at((FE1, EDGE)))
        for name in order:
            await network.start(name)
        await network.follow()
        ours = await phones_at(network, FE1)
        erin = Phone(await theirs.phone("erin", PARTNER_FE), PARTNER_FE)
        answered, over = Answered(), asyncio.Event()
        series = asyncio.create_task(answered.until(over, [*ours, erin]))
        for _ in range(3):
            replies = await network.managed.ask(MGMT, "probe", links={EDGE: [PARTNER_EDGES]})
            assert [reply["passed"] for reply in replies] == [True], replies
        await answered.some(150)
        over.set()
        await series
        await erin.close()
        assert answered.unanswered == []


ROUNDS = 10
"""How often all pairs are tried after a fault."""

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


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS)
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
        failed = [""]
        for _ in range(ROUNDS):  # other servers try the server that was away again in a moment
            after = Answered()
            await after.all_pairs(phones)
            assert after.unanswered == []
            failed = [what for what in after.failed if not what.endswith(KEPT)]
            if not failed:
                break
        assert failed == []
