"""An application that screens calls, and does not decide: when the phones ring without it, and what the caller gets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.routing.outcome import RETRY_AFTER_S
from sipmesh.routing.proxy.branch_kinds import SILENT_S
from sipmesh.sip.message import Request, Response
from sipmesh.sip.transaction.ack import cancel_for
from sipmesh.sip.transaction.timers import Timer
from sipmesh.trust.role import Role
from support.network import BEGAN, BOT, EXAMPLE, FE1, FE2, FE3, POOL, POOL2, Network, finished
from support.peer import Peer
from support.running import on_jumping_loop
from support.talking import inside_of
from support.ticking import SLACK_S, ticking
from support.tiers import wide_after

BOB = f"sip:bob@{EXAMPLE}"
BOTS = ("bot1.example.test", "bot2.example.test")
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


@pytest.fixture(name="two_servers")
def _two_servers(tmp_path: Path) -> Network:
    """A front end, and an application of two servers that screens all calls."""
    plans = (
        PoolPlan(POOL, Role.FRONT_END, (FE1,)),
        PoolPlan(BOT, Role.APPLICATION, BOTS, {"next_hop": POOL, "screens": [EXAMPLE]}),
    )
    organisation = finished(Organisation.build(tmp_path / "two", EXAMPLE, plans, issued_at=BEGAN))
    organisation.add_users("alice", "bob")
    return Network((organisation,), starts=(FE1,))


async def both(network: Network) -> list[Peer]:
    """The two servers of the application, in the order in which they are tried."""
    bots = [await network.peer(FE1, "bot", name) for name in BOTS]
    for bot in bots:
        await bot.silent()
    return bots


@pytest.mark.parametrize("late", wide_after(3, ["lets on", "603", "180", "", "503", "closes"]))
@pytest.mark.parametrize("if_away", ["pass", "refuse"])
@on_jumping_loop
async def test_next_server_of_the_pool_decides_after_a_silent_server(
    two_servers: Network, if_away: str, late: str
) -> None:
    """The phone rings once, for the second server. What the first one says later does not count, and it lets nothing on."""
    two_servers.set_application(if_away=if_away)
    async with ticking(two_servers) as (node, alice, bob):
        first, second = await both(two_servers)
        await alice.send(alice.request("INVITE", BOB))
        came, began = await first.request_in("INVITE"), node.loop.time()
        again = await second.request_in("INVITE")
        assert SILENT_S <= node.loop.time() - began <= SILENT_S + SLACK_S
        assert (again.uri, again.items("route")[1:]) == (came.uri, came.items("route")[1:])
        if late == "lets on":
            assert (await first.ask(let_on(first, came))).status == 403
        else:
            await behaves(first, came, late)
        if late == "180":
            assert (await next_request(first)).method == "CANCEL"
            await first.reply(came, 487)
        if late in {"180", "603", "503"}:
            assert (await next_request(first)).method == "ACK"
        await second.reply(again, 100)
        await second.send(let_on(second, again))
        rung = await bob.request_in("INVITE")
        assert rung.values("p-asserted-identity") == [f"<sip:alice@{EXAMPLE}>"]
        await bob.reply(rung, 200)
        assert (await second.final()).status == 200
        await second.reply(again, 200)
        assert (await alice.final()).status == 200
        await bob.silent()


@on_jumping_loop
async def test_late_acceptance_by_a_server_that_was_left_takes_the_call(two_servers: Network) -> None:
    """Each 2xx to an INVITE is forwarded (RFC 3261 section 16.7 item 5), and what still rings is cancelled: one has the call."""
    async with ticking(two_servers) as (_, alice, bob):
        first, second = await both(two_servers)
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        came = await first.request_in("INVITE")
        again = await second.request_in("INVITE")
        await second.reply(again, 100)
        onward = let_on(second, again)
        await second.send(onward)
        rung = await bob.request_in("INVITE")
        await bob.reply(rung, 180)
        await second.reply(again, 180)
        await first.reply(came, 200)
        answer = await alice.final()
        assert (answer.status, answer.to.tag) == (200, first.tag)
        assert (await next_request(second)).method == "CANCEL"
        await second.reply(again, 487)
        await second.send(cancel_for(onward))
        assert (await next_request(bob)).method == "CANCEL"
        await bob.reply(rung, 487)
        dialog = Dialog.of_caller(invite, answer)
        await alice.send(inside_of(dialog, alice, "ACK"))
        assert (await next_request(first)).method == "ACK"
        await alice.send(inside_of(dialog, alice, "BYE"))
        await first.reply(await next_request(first), 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize("says", ["", "503"])
@pytest.mark.parametrize("if_away", ["pass", "refuse"])
@on_jumping_loop
async def test_next_server_of_the_pool_refuses_the_call(two_servers: Network, if_away: str, says: str) -> None:
    """The first one answers nothing, or that it takes no calls now."""
    two_servers.set_application(if_away=if_away)
    async with ticking(two_servers) as (_, alice, bob):
        first, second = await both(two_servers)
        await alice.send(alice.request("INVITE", BOB))
        await behaves(first, await first.request_in("INVITE"), says)
        await second.reply(await second.request_in("INVITE"), 486)
        assert (await alice.final()).status == 486
        await bob.silent()


@pytest.mark.parametrize("if_away", ["pass", "refuse"])
@pytest.mark.parametrize("has_second", [True, False])
@on_jumping_loop
async def test_application_is_away_when_all_its_servers_are(
    two_servers: Network, if_away: str, *, has_second: bool
) -> None:
    """Each has four seconds to answer. One without a link has none."""
    two_servers.set_application(if_away=if_away)
    async with ticking(two_servers) as (node, alice, bob):
        first, second = await both(two_servers)
        if not has_second:
            await second.__aexit__()
        await alice.send(alice.request("INVITE", BOB))
        came, began = await first.request_in("INVITE"), node.loop.time()
        if has_second:
            await second.request_in("INVITE")
        if if_away == "pass":
            await bob.request_in("INVITE")
        else:
            assert (await alice.final()).status == 503
        waited_s = SILENT_S * (2 if has_second else 1)
        assert waited_s <= node.loop.time() - began <= waited_s + 2 * SLACK_S
        assert (await first.ask(let_on(first, came))).status == 403
        await bob.silent()


@on_jumping_loop
async def test_server_that_answers_100_keeps_the_call(two_servers: Network) -> None:
    async with ticking(two_servers) as (_, alice, bob):
        first, second = await both(two_servers)
        await alice.send(alice.request("INVITE", BOB))
        came = await first.request_in("INVITE")
        await first.reply(came, 100)
        await asyncio.sleep(2 * SILENT_S)
        await second.silent()
        await first.send(let_on(first, came))
        await bob.request_in("INVITE")


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
