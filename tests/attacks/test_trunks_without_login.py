"""Who is in the networks of a trunk without a certificate, and has no password, keeps the trunk out by no number of links."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

import pytest

from server.proxy.trunks.test_trunk_challenges import (
    _network,  # noqa: F401 - the fixture `network`
    challenged,
    credentials,
    opened,
    rings,
)
from sipmesh.transport.limits import Limits
from support.network import FE1, UNHURRIED, Network
from support.peer import HungUpError, Peer
from support.running import on_loop
from support.trunks import GATEWAY, PROVIDER

MANY: Final = Limits().links_accepted_per_peer + 4


@asynccontextmanager
async def idle(network: Network, count: int) -> AsyncIterator[Sequence[Peer]]:
    """Open *count* links at the port of the provider, without a login."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(await opened(network)) for _ in range(count)]


@pytest.mark.parametrize("count", [0, MANY])
@on_loop
async def test_trunk_logs_in_beside_links_without_a_login(network: Network, count: int) -> None:
    async with network, idle(network, count) as links, await opened(network) as trunk:
        await rings(network, trunk, credentials(await challenged(trunk)))
        for link in links:
            await challenged(link)


@on_loop
async def test_link_of_a_trunk_without_a_login_is_closed_in_time_and_the_one_with_a_login_stays(
    network: Network,
) -> None:
    network.limits = replace(UNHURRIED, authenticate_s=3.0)
    async with network, await opened(network) as trunk:
        alice = await network.phone("alice", FE1)
        await rings(network, trunk, credentials(await challenged(trunk)), alice)
        await alice.request_in("ACK")
        async with idle(network, 1) as (link,):
            await challenged(link)
            with pytest.raises(HungUpError):
                await link.receive()
        await rings(network, trunk, ("subject", "again"), alice)


@on_loop
async def test_newest_of_too_many_links_without_a_login_takes_the_place_of_the_oldest(network: Network) -> None:
    """As at the ports of clients. The link with a login has no such place."""
    network.limits = replace(UNHURRIED, strangers_per_address=4)
    async with network, await opened(network) as trunk:
        alice = await network.phone("alice", FE1)
        await rings(network, trunk, credentials(await challenged(trunk)), alice)
        await alice.request_in("ACK")
        async with idle(network, 5) as links:
            await links[0].hung_up()
            await rings(network, trunk, ("subject", "again"), alice)


@on_loop
async def test_who_has_the_password_has_a_number_of_links(network: Network) -> None:
    network.limits = replace(UNHURRIED, links_per_user=2)
    async with network, idle(network, 3) as links:
        alice = await network.phone("alice", FE1)
        for link in links:
            await rings(network, link, credentials(await challenged(link)), alice)
            await alice.request_in("ACK")
        await links[0].hung_up()
        for link in links[1:]:
            await rings(network, link, ("subject", "again"), alice)
            await alice.request_in("ACK")
        assert network.nodes[GATEWAY].accounts.of_users.count(PROVIDER) == 2
