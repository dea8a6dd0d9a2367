"""baresip, a real phone, that logs in at a server which is not of its home pool: at an edge, and at a front end of another pool.

dora is at home in the first pool, emil in the second. The edge knows the first pool only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from interop.baresip import Baresip
from interop.phones import killed, phone
from interop.test_calls import call, hung_up, registered
from sipmesh.demo.network import EDGE, FE1, POOL, DemoNetwork
from sipmesh.demo.organisation import PoolPlan
from sipmesh.demo.ports import free_port
from sipmesh.sip.digest import Algorithm
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.tiers import wide_after

pytestmark = pytest.mark.peer("baresip")

POOL2, FE3 = "pool2.example.test", "fe3.example.test"


async def build(folder: Path) -> DemoNetwork:
    """The demo's network with a second pool of one server, and with a port for clients at its edge; three servers run."""
    network = await DemoNetwork.build(folder)
    example = network.example
    pools = example.document["pools"]
    assert isinstance(pools, list)
    pools.append(example._pool(PoolPlan(POOL2, Role.FRONT_END, (FE3,))))
    edges = next(pool for pool in pools if pool["role"] == Role.EDGE)
    example.ports[EDGE][LinkKind.CLIENT] = edges["servers"][0]["ports"]["client"] = free_port()
    edges["remote_users"] = True
    example.write()
    example.issue(FE3)
    for user, home in (("dora", POOL), ("emil", POOL2)):
        example.add_users(user, algorithms=(Algorithm.MD5,), pool=home)
    for server in (FE1, FE3, EDGE):
        network.dns.records[server, "A"] = ["127.0.0.1"]
    await network.start(FE1, FE3, EDGE)
    return network


@pytest.fixture(name="network", scope="module")
def _network(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[DemoNetwork]:
    network = runner.run(build(tmp_path_factory.mktemp("r")))
    yield network
    runner.run(network.stop())


async def written(writer: Baresip, reader: Baresip, text: str) -> None:
    """*writer* has *reader* as its friend."""
    await writer.command("message", text)
    assert (await reader.event("MESSAGE"))["body"] == text


@pytest.mark.parametrize(("here", "there"), wide_after(1, [(EDGE, FE1), (EDGE, EDGE), (FE1, FE3), (FE3, FE1)]))
@pytest.mark.wide
def test_phones_write_and_call_from_where_their_users_are_not_at_home(
    network: DemoNetwork, runner: asyncio.Runner, here: str, there: str
) -> None:
    """In both directions: emil is at *here*, dora at *there*."""
    emil = phone(network, "emil", here, records=False, friend="sip:dora@example.test")
    dora = phone(network, "dora", there, records=False, friend="sip:emil@example.test")

    async def play() -> None:
        async with AsyncExitStack() as stack:
            await registered(stack, dora, emil)
            for one, other in ((emil, dora), (dora, emil)):
                await written(one, other, "hello")
                await call(one, other)
                await hung_up(other, one)

    runner.run(play())


@pytest.mark.soak
@pytest.mark.parametrize("lost", [EDGE, FE1, FE3])
def test_phone_at_an_edge_is_back_after_a_server_on_its_way_home_was_killed(
    network: DemoNetwork, runner: asyncio.Runner, lost: str
) -> None:
    """Its link ends with the flow to its home pool. Then it is called at its new flow."""
    emil = phone(network, "emil", EDGE, records=False, refresh_s=2, friend="sip:dora@example.test")
    dora = phone(network, "dora", FE1, records=False, refresh_s=2, friend="sip:emil@example.test")

    async def play() -> None:
        async with AsyncExitStack() as stack:
            await registered(stack, dora, emil)
            await killed(network, lost)
            await network.start(lost)
            await emil.registered_again()
            await dora.registered_again()
            await written(dora, emil, "back?")
            await call(dora, emil)
            await hung_up(emil, dora)

    runner.run(play())
