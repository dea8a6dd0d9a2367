"""Subscriptions move back to the notifier of their user, over real links."""

from __future__ import annotations

import asyncio

from server.proxy.events.test_notifier import BOB, BUSY, publish, subscribe, told, watch
from sipmesh.routing.events.notifier_choice import notifier_of
from sipmesh.server.proxy.events.misplaced_subscriptions import SETTLED_S
from sipmesh.server.proxy.liveness.outages import Outage
from support.network import FE1, FE2, Network
from support.running import on_jumping_loop

NOTIFIER = notifier_of(BOB, (FE1, FE2), ())
OTHER = FE2 if NOTIFIER == FE1 else FE1


@on_jumping_loop
async def test_watchers_go_to_the_notifier_once_it_has_been_back_for_a_while(pool: Network) -> None:
    """Otherwise they would not see what the user publishes there."""
    async with pool:
        stood_in, notifier = pool.nodes[OTHER].events, pool.nodes[NOTIFIER].events
        names = pool.nodes[OTHER].outages.names
        alice, bob = await pool.phone("alice", OTHER), await pool.phone("bob", OTHER)
        names[NOTIFIER] = Outage(NOTIFIER, 0.0, "gone", is_slow=True)
        stood_in.sweep()
        await watch(alice, BOB)
        assert (len(stood_in.notifier), len(notifier.notifier)) == (1, 0)
        names.clear()
        stood_in.sweep()
        await alice.silent()
        await asyncio.sleep(SETTLED_S)
        stood_in.sweep()
        assert (await told(alice)).first("subscription-state") == "terminated;reason=deactivated"
        await watch(alice, BOB)
        assert (len(stood_in.notifier), len(notifier.notifier)) == (0, 1)
        assert (await bob.ask(publish(bob, BUSY))).status == 200
        assert b"busy" in (await told(alice)).body


@on_jumping_loop
async def test_subscriptions_at_the_notifier_stay(pool: Network) -> None:
    """Also if another server of the pool goes and comes back."""
    async with pool:
        notifier, names = pool.nodes[NOTIFIER].events, pool.nodes[NOTIFIER].outages.names
        alice = await pool.phone("alice", NOTIFIER)
        await watch(alice, BOB)
        names[OTHER] = Outage(OTHER, 0.0, "gone", is_slow=True)
        notifier.sweep()
        names.clear()
        for _ in range(2):
            notifier.sweep()
            await asyncio.sleep(SETTLED_S)
        notifier.sweep()
        await alice.silent()
        assert (await alice.ask(subscribe(alice, BOB, "presence", ("expires", "0")))).status == 200
        assert len(notifier.notifier) == 1


@on_jumping_loop
async def test_watchers_go_to_a_server_that_the_pool_has_got(pool: Network) -> None:
    """A topology that leaves the servers of the pool as they are moves no subscription."""
    async with pool:
        node = pool.nodes[OTHER]
        alice, misplaced = await pool.phone("alice", OTHER), node.events._misplaced
        node.outages.names[NOTIFIER] = Outage(NOTIFIER, 0.0, "gone", is_slow=True)
        await watch(alice, BOB)
        node.outages.names.clear()
        for servers, is_moved in (((FE1, FE2), False), ((OTHER,), True)):
            misplaced._servers = servers
            misplaced.sweep()
            await asyncio.sleep(SETTLED_S)
            misplaced.sweep()
            assert (len(node.events.notifier) == 0) is is_moved
        assert (await told(alice)).first("subscription-state") == "terminated;reason=deactivated"
