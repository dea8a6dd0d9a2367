"""An application that screens calls, and does not decide: when the phones ring without it, and what the caller gets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.routing.outcome import RETRY_AFTER_S
from sipmesh.routing.proxy.branch_kinds import SILENT_S
from sipmesh.sip.message import Request, Response
from sipmesh.sip.transaction.timers import Timer
from sipmesh.trust.role import Role
from support.network import BEGAN, BOT, EXAMPLE, FE1, FE2, FE3, POOL, POOL2, Network, finished
from support.peer import Peer
from support.running import on_jumping_loop
from support.ticking import SLACK_S, ticking

BOB = f"sip:bob@{EXAMPLE}"
DECIDES_S, RINGS_S = Timer.B.seconds, Timer.C.seconds
AWAY = [
    ("", SILENT_S),
    ("100", DECIDES_S),
    ("503", 0),
    ("500", 0),
    ("408", 0),
    ("closes", 0),
    ("100 closes", 0),
    ("180 closes", 0),
    ("180 503", 0),
]
"""What the application does with the INVITE, and after how many seconds it counts as away."""


async def behaves(bot: Peer, came: Request, says: str) -> None:
    """Have the application answer with the statuses that *says* names, or close its link."""
    for word in says.split():
        if word == "closes":
            await bot.__aexit__()
        else:
            await bot.reply(came, int(word))


@pytest.mark.parametrize(("says", "after_s"), AWAY)
@on_jumping_loop
async def test_phones_ring_without_an_application_that_is_away(pool: Network, says: str, after_s: float) -> None:
    """If the topology says `pass`. The application may not let the call on afterwards, and the phones go on ringing."""
    pool.set_application(screens=[EXAMPLE], if_away="pass")
    async with ticking(pool) as (node, alice, bob):
        bot = await pool.peer(FE1, "bot", BOT)
        await bot.silent()
        await alice.send(alice.request("INVITE", BOB))
        came, began = await bot.request_in("INVITE"), node.loop.time()
        await behaves(bot, came, says)
        rung = await bob.request_in("INVITE")
        assert after_s <= node.loop.time() - began <= after_s + SLACK_S
        await bob.reply(rung, 180)
        if says == "100":
            assert (await next_request(bot)).method == "CANCEL"
            await bot.reply(came, 487)
        again = await pool.peer(FE1, "bot", BOT)
        assert (await again.ask(let_on(again, came))).status == 403
        await bob.reply(rung, 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize(("says", "after_s"), AWAY)
@on_jumping_loop
async def test_caller_may_try_later_while_the_application_is_away(pool: Network, says: str, after_s: float) -> None:
    """The call is refused, as it is without a word in the topology, and the log says by which application."""
    pool.set_application(screens=[EXAMPLE])
    async with ticking(pool) as (node, alice, bob):
        bot = await pool.peer(FE1, "bot", BOT)
        await bot.silent()
        await alice.send(alice.request("INVITE", BOB))
        came, began = await bot.request_in("INVITE"), node.loop.time()
        await behaves(bot, came, says)
        refused = await alice.final()
        assert after_s <= node.loop.time() - began <= after_s + SLACK_S
        assert (refused.status, refused.values("retry-after")) == (503, [RETRY_AFTER_S])
        told = node.refusals.plain[-1]
        assert refused.values("warning") == [f'399 {FE1} "refused: unavailable, reference {told.reference}"']
        assert told.why == f"{BOT}, which screens the calls to {BOB}, does not answer"
        again = await pool.peer(FE1, "bot", BOT)
        assert (await again.ask(let_on(again, came))).status == 403
        await bob.silent()


@pytest.mark.parametrize("if_away", ["pass", "refuse"])
@pytest.mark.parametrize("says", ["180", "183", "100 180"])
@on_jumping_loop
async def test_application_that_talks_to_the_caller_has_the_time_of_a_phone(
    pool: Network, says: str, if_away: str
) -> None:
    """The phones do not ring for a caller who has waited as long as for any phone, be it for the phones themselves."""
    pool.set_application(screens=[EXAMPLE], if_away=if_away)
    async with ticking(pool) as (node, alice, bob):
        bot = await pool.peer(FE1, "bot", BOT)
        await bot.silent()
        await alice.send(alice.request("INVITE", BOB))
        came, began = await bot.request_in("INVITE"), node.loop.time()
        await behaves(bot, came, says)
        assert (await next_request(bot)).method == "CANCEL"
        assert RINGS_S <= node.loop.time() - began <= RINGS_S + SLACK_S
        await bot.reply(came, 487)
        assert (await alice.final()).status == 408
        await bob.silent()


@on_jumping_loop
async def test_application_that_answers_after_half_a_minute_of_talk_decides(pool: Network) -> None:
    pool.set_application(screens=[EXAMPLE], if_away="pass")
    async with ticking(pool) as (_, alice, bob):
        bot = await pool.peer(FE1, "bot", BOT)
        await bot.silent()
        await alice.send(alice.request("INVITE", BOB))
        came = await bot.request_in("INVITE")
        await bot.reply(came, 183)
        await asyncio.sleep(2 * DECIDES_S)
        await bot.reply(came, 603)
        assert (await alice.final()).status == 603
        await bob.silent()


@pytest.mark.parametrize("says", ["", "100", "500"])
@on_jumping_loop
async def test_caller_of_another_pool_waits_once(tmp_path: Path, says: str) -> None:
    """The other servers of the pool would wait for the same application: its pool gets 500, and tries none of them."""
    plans = (
        PoolPlan(POOL, Role.FRONT_END, (FE1, FE2)),
        PoolPlan(POOL2, Role.FRONT_END, (FE3,)),
        PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL, "screens": [EXAMPLE]}),
    )
    organisation = finished(Organisation.build(tmp_path / "far", EXAMPLE, plans, issued_at=BEGAN))
    organisation.add_users("alice", "bob")
    organisation.add_users("dave", pool=POOL2)
    network = Network((organisation,), starts=(FE1, FE2, FE3))
    async with ticking(network):
        sweeping = [asyncio.create_task(sweep(network, name)) for name in (FE2, FE3)]
        dave = await network.phone("dave", FE3)
        bots = [await network.peer(name, "bot", BOT) for name in (FE1, FE2)]
        for bot in bots:
            await bot.silent()
        waiting = [asyncio.ensure_future(bot.request_in("INVITE")) for bot in bots]
        await dave.send(dave.request("INVITE", BOB))
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        asked = waiting.index(came := done.pop())
        await behaves(bots[asked], came.result(), says)
        refused = await dave.final()
        assert (refused.status, refused.values("retry-after")) == (500, [RETRY_AFTER_S])
        assert not waiting[1 - asked].done()
        for task in (*sweeping, waiting[1 - asked]):
            task.cancel()


async def sweep(network: Network, name: str) -> None:
    """Let a server look at its deadlines each second."""
    while True:
        await asyncio.sleep(1)
        network.nodes[name].sweep.tick()


async def next_request(peer: Peer) -> Request:
    """Wait for the next request; responses before it are passed over."""
    while isinstance(message := await peer.receive(), Response):
        pass
    return message


def let_on(bot: Peer, came: Request) -> Request:
    """Make the INVITE by which the application lets a call on."""
    routes = [("route", route) for route in came.items("route")[1:]]
    return bot.request("INVITE", came.uri, routes, sender=f"<{came.from_.uri}>;tag=b2b")
