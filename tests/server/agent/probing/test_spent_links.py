"""A link that a check has opened drains once the peer uses it for nothing."""

from __future__ import annotations

import asyncio

import pytest

from server.proxy.events.test_message_storing import BOB, say
from sipmesh.server.agent.probing.spent_links import LONGEST_S, SpentLinks
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.running.running_server import RunningServer
from sipmesh.transport.link.link import Link
from support.network import FE1, FE2, Network
from support.running import on_loop


def used_by(node: RunningServer, peer: str) -> Link:
    """The link on which a request of *peer* waits for its response."""
    links = [link for link in node.pool.all() if link.peer_name == peer]
    [link] = [link for link in links if isinstance(link.flow, Flow) and link.flow.is_waited_on]
    return link


@on_loop
async def test_link_stays_until_the_request_on_it_is_answered(pool: Network) -> None:
    """The peer cannot know what the link was opened for: its request gets the response."""
    async with pool:
        alice, bob, node = await pool.phone("alice", FE1), await pool.phone("bob", FE2), pool.nodes[FE2]
        sent = asyncio.create_task(say(alice, b"hello"))
        came = await bob.request_in("MESSAGE")
        spent, link = SpentLinks(node.loop.time), used_by(node, FE1)
        spent.add(link)
        spent.tick()
        assert link.usable
        await bob.reply(came, 200)
        assert await sent == 200
        spent.tick()
        assert not link.usable


@pytest.mark.parametrize("ends", ["late", "closed"])
@on_loop
async def test_link_that_is_always_used_drains_in_the_end(pool: Network, ends: str) -> None:
    async with pool:
        alice, bob, node = await pool.phone("alice", FE1), await pool.phone("bob", FE2), pool.nodes[FE2]
        await alice.send(alice.request("MESSAGE", BOB, [("content-type", "text/plain")], b"hello"))
        await bob.request_in("MESSAGE")
        now = [node.loop.time()]
        spent, link = SpentLinks(lambda: now[0]), used_by(node, FE1)
        spent.add(link)
        if ends == "late":
            now[0] += LONGEST_S
            spent.tick()
        else:
            spent.close()
        assert not link.usable
