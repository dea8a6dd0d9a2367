"""A user and a server that spread what they do over the workers of a server have one share, and are shut out of all at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scenarios.test_workers import ONE, TWO, pass_message
from scenarios.test_workers_managed import started
from sipmesh.demo.organisation import Organisation
from sipmesh.transport.limits import Limits
from support.managed import Managed
from support.network import EDGE, FE1, FE2
from support.running import on_loop, until
from support.workers import two_workers


@on_loop
async def test_user_who_spreads_links_over_both_workers_has_one_share_of_them(example: Organisation) -> None:
    """The kernel chooses the worker of each link. One more than the limit closes the oldest, at any worker."""
    async with two_workers(example) as two:
        bob, carol = await two.phone("bob", ONE), await two.phone("carol", TWO)
        most = Limits().links_per_user
        phones = [await two.network.peer(FE1, "alice") for _ in range(most + 2)]
        for phone in phones:
            phone.contact = phones[0].contact  # a user has ten Contacts at most
            assert (await phone.register()).status == 200
        for oldest in phones[:2]:
            await oldest.hung_up()
        links = [link for link in await two.server.ask("links") if link["peer"] == "sip:alice@example.test"]
        assert len(links) == most
        assert {await two.start_of(phone) for phone in phones[2:]} == {ONE, TWO}
        for sender, receiver in ((bob, carol), (carol, bob)):
            await pass_message(sender, receiver)


def without_fe2(document: dict[str, Any]) -> None:
    """Take the second front end out of the network."""
    for pool in document["pools"]:
        pool["servers"] = [
            server for server in pool["servers"] if (server if isinstance(server, str) else server["name"]) != FE2
        ]


@pytest.mark.soak
@on_loop
async def test_server_that_a_version_drops_loses_its_links_at_every_worker(managed: Managed) -> None:
    """Its certificate is valid as before. The edge, which stays in the network, keeps its links."""
    async with managed:
        await started(managed)
        dropped = [await managed.peer(FE1, FE2) for _ in range(6)]
        kept = [await managed.peer(FE1, EDGE) for _ in range(6)]
        for peer in (*dropped, *kept):
            await peer.ask(peer.request("OPTIONS", "sip:example.test"))
        await managed.publish(without_fe2, why="fe2 is gone")
        await until(lambda: managed.number(FE1) == 3)
        async with asyncio.timeout(10):
            for peer in dropped:
                await peer.hung_up()
        for peer in kept:
            await peer.ask(peer.request("OPTIONS", "sip:example.test"))
        again = await managed.peer(FE1, FE2)
        await again.hung_up()
