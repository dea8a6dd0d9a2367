"""Calls to numbers for which two gateway pools have trunks: the second pool is tried if the trunks of the first have failed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.routing.proxy.branch_kinds import SILENT_S
from sipmesh.trust.role import Role
from support.descriptions import SDES, SDP
from support.network import BEGAN, EXAMPLE, FE1, POOL, Network, copied, finished
from support.peer import Peer
from support.running import on_jumping_loop, on_loop
from support.trunks import GATEWAY, GATEWAYS, OUTSIDE, PBX, PROVIDER, PlayedTrunk, build_trunk, join_trunks

OTHERS, OTHER = "gw2.example.test", "gate2.example.test"


@pytest.fixture(name="models", scope="module")
def _models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Organisation]:
    folder = tmp_path_factory.mktemp("pools")
    example = Organisation.build(
        folder / "example",
        EXAMPLE,
        (
            PoolPlan(POOL, Role.FRONT_END, (FE1,)),
            PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL}),
            PoolPlan(OTHERS, Role.GATEWAY, (OTHER,), {"next_hop": POOL}),
        ),
        issued_at=BEGAN,
    )
    finished(example, "alice")
    return {EXAMPLE: example, **{name: build_trunk(folder / name, name) for name in (PROVIDER, PBX)}}


@pytest.fixture(name="first")
def _first(models: dict[str, Organisation]) -> PlayedTrunk:
    """The trunk that is tried first: it has the longer match, behind the first pool."""
    return PlayedTrunk(PBX, models[PBX])


@pytest.fixture(name="second")
def _second(models: dict[str, Organisation]) -> PlayedTrunk:
    return PlayedTrunk(PROVIDER, models[PROVIDER])


@pytest.fixture(name="network")
def _network(models: dict[str, Organisation], first: PlayedTrunk, second: PlayedTrunk, tmp_path: Path) -> Network:
    example = copied(models[EXAMPLE], tmp_path / "example")
    keys: dict[str, Any] = {"carries": ["+4917"], "main_number": "+493012345", "emergency": True}
    join_trunks(example, (first, keys), (second, {**keys, "carries": ["+"], "gateway": OTHERS, "priority": 1}))
    example.document["numbers"] = {"emergency": ["112"]}
    example.write()
    return Network((example,), starts=(FE1, GATEWAY, OTHER))


async def called(alice: Peer, uri: str = f"tel:{OUTSIDE}") -> None:
    await alice.send(
        alice.request("INVITE", uri, [("content-type", SDP)], SDES, sender=f"<sip:alice@{EXAMPLE}>;tag={alice.tag}")
    )


async def rings(alice: Peer, trunk: Peer) -> None:
    """The call rings at *trunk*, which then refuses it."""
    await trunk.reply(await trunk.request_in("INVITE"), 486)
    assert (await alice.final()).status == 486


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize("uri", [f"tel:{OUTSIDE}", f"sip:112@{EXAMPLE}"])
@on_loop
async def test_second_pool_is_tried_if_the_trunks_of_the_first_have_failed(
    network: Network, first: PlayedTrunk, second: PlayedTrunk, status: int, uri: str
) -> None:
    async with network, first, second:
        alice = await network.phone("alice", FE1)
        await called(alice, uri)
        trunk = await first.links.get()
        await trunk.reply(await trunk.request_in("INVITE"), status)
        await rings(alice, await second.links.get())


@on_loop
async def test_second_pool_is_tried_if_the_trunk_of_the_first_is_away(network: Network, second: PlayedTrunk) -> None:
    async with network, second:
        alice = await network.phone("alice", FE1)
        await called(alice)
        await rings(alice, await second.links.get())


@on_jumping_loop
async def test_second_pool_is_tried_if_the_trunk_of_the_first_is_silent(
    network: Network, first: PlayedTrunk, second: PlayedTrunk
) -> None:
    """After seconds. The silent trunk is cancelled if it answers later."""
    async with network, first, second:
        alice = await network.phone("alice", FE1)
        await called(alice)
        trunk = await first.links.get()
        tried = await trunk.request_in("INVITE")
        await asyncio.sleep(SILENT_S + 1)
        network.nodes[GATEWAY].sweep.tick()
        await rings(alice, await second.links.get())
        await trunk.reply(tried, 180)
        assert (await trunk.request_in("CANCEL")).method == "CANCEL"


@pytest.mark.parametrize("status", [404, 486, 603])
@on_loop
async def test_answer_of_the_number_ends_the_search_in_all_pools(
    network: Network, first: PlayedTrunk, second: PlayedTrunk, status: int
) -> None:
    async with network, first, second:
        alice = await network.phone("alice", FE1)
        await called(alice)
        trunk = await first.links.get()
        await trunk.reply(await trunk.request_in("INVITE"), status)
        assert (await alice.final()).status == status
        assert second.links.empty()
