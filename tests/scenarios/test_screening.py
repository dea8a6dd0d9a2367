"""An application gets the calls of users before their phones ring: it refuses them, takes them, or lets them go on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.routing.proxy.branch_kinds import SILENT_S
from sipmesh.sip.message import Request
from sipmesh.sip.transaction.ack import cancel_for
from sipmesh.trust.role import Role
from support.call_rules import rules
from support.network import BEGAN, BOT, EXAMPLE, FE1, FE2, FE3, PARTNER_FE, POOL, POOL2, Network, finished
from support.peer import Peer
from support.running import on_jumping_loop, on_loop
from support.talking import inside_of

ASSERTED = "p-asserted-identity"
ALICE, BOB, CAROL = (f"sip:{name}@{EXAMPLE}" for name in ("alice", "bob", "carol"))


@pytest.fixture(autouse=True)
def _screens(request: pytest.FixtureRequest) -> None:
    """The application screens the calls to all users of the domain."""
    for name in ("pool", "federation"):
        if name in request.fixturenames:
            network: Network = request.getfixturevalue(name)
            network.set_application(screens=[EXAMPLE])


@pytest.fixture(name="far")
def _far(tmp_path: Path) -> Network:
    """Two pools, of which the first has the application behind it, and the second carol."""
    plans = (
        PoolPlan(POOL, Role.FRONT_END, (FE1,)),
        PoolPlan(POOL2, Role.FRONT_END, (FE3,)),
        PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL, "screens": [EXAMPLE]}),
    )
    organisation = finished(Organisation.build(tmp_path / "far", EXAMPLE, plans, issued_at=BEGAN))
    organisation.add_users("alice", "bob")
    organisation.add_users("dave", pool=POOL2)
    return Network((organisation,), starts=(FE1, FE3))


async def application(network: Network) -> Peer:
    """The application, with its link up on both sides."""
    bot = await network.peer(FE1, "bot", BOT)
    await bot.silent()
    return bot


def proxied(bot: Peer, came: Request, *, records: bool = True) -> Request:
    """Make the request that a proxy sends on: its Route entry is taken, its Via and Record-Route are added, the rest stays."""
    onward = came.copy()
    onward.pop_item("route")
    if records:
        onward.prepend("record-route", f"<sip:{BOT};transport=tls;lr>")
    onward.prepend("via", bot.via())
    onward.spend_hop()
    return onward


@on_loop
async def test_proxy_lets_a_call_on_by_its_route(pool: Network) -> None:
    """And its ACK, re-INVITE and BYE pass by the application too, in both directions."""
    async with pool:
        alice, bob, bot = await pool.phone("alice", FE1), await pool.phone("bob", FE2), await application(pool)
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        came = await bot.request_in("INVITE")
        await bot.send(proxied(bot, came))
        rung = await bob.request_in("INVITE")
        assert rung.values(ASSERTED) == [f"<{ALICE}>"]
        await bob.reply(rung, 200)
        await answered(bot)
        answer = await alice.final()
        assert answer.status == 200
        ours, theirs = Dialog.of_caller(invite, answer), Dialog.of_callee(rung, bob.tag)
        await alice.send(inside_of(ours, alice, "ACK"))
        await bot.send(proxied(bot, await bot.request_in("ACK"), records=False))
        await bob.request_in("ACK")
        for dialog, sender, receiver, method in ((ours, alice, bob, "INFO"), (theirs, bob, alice, "BYE")):
            await sender.send(inside_of(dialog, sender, method))
            await bot.send(proxied(bot, await bot.request_in(method), records=False))
            await receiver.reply(await receiver.request_in(method), 200)
            await answered(bot)
            assert (await sender.final()).status == 200


async def answered(bot: Peer) -> None:
    """Send the final response that comes next back, without the Via of the application."""
    response = await bot.final()
    response.pop_item("via")
    await bot.send(response)


def let_on(bot: Peer, came: Request) -> Request:
    """Make the INVITE by which a B2BUA lets a call on: Call-ID, tag, Max-Forwards and history are new."""
    routes = [("route", route) for route in came.items("route")[1:]]
    return bot.request("INVITE", came.uri, routes, sender=f"<{came.from_.uri}>;tag=b2b")


@pytest.mark.parametrize("status", [200, 302, 486, 603])
@on_loop
async def test_application_takes_or_refuses_a_call(pool: Network, status: int) -> None:
    """No phone of bob learns of it. Its redirection is for the caller: it speaks for no user."""
    async with pool:
        alice, bob, bot = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await application(pool)
        await alice.send(alice.request("INVITE", BOB))
        await bot.reply(await bot.request_in("INVITE"), status)
        assert (await alice.final()).status == status
        await bob.silent()


@on_loop
async def test_call_is_taken_back_from_the_application(pool: Network) -> None:
    async with pool:
        alice, bot = await pool.phone("alice", FE1), await application(pool)
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        came = await bot.request_in("INVITE")
        await bot.reply(came, 180)
        await alice.send(cancel_for(invite))
        cancelled = await bot.request_in("CANCEL")
        assert cancelled.top_via.branch == came.top_via.branch


@pytest.mark.parametrize("if_away", ["pass", "refuse"])
@pytest.mark.parametrize("answers", ["no link", 503, 500, 408])
@on_loop
async def test_calls_while_the_application_is_away(pool: Network, if_away: str, answers: str | int) -> None:
    """The phones ring, or they do not: as the topology says. Its own answer counts in both cases (the other test)."""
    pool.set_application(if_away=if_away)
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        bot = await application(pool) if isinstance(answers, int) else None
        await alice.send(alice.request("INVITE", BOB))
        if bot is not None and isinstance(answers, int):
            await bot.reply(await bot.request_in("INVITE"), answers)
        if if_away == "refuse":
            refused = await alice.final()
            assert refused.status == 503
            told = pool.nodes[FE1].refusals.plain[-1]
            assert refused.values("warning") == [f'399 {FE1} "refused: unavailable, reference {told.reference}"']
            assert told.why == f"{BOT}, which screens the calls to {BOB}, does not answer"
            await bob.silent()
            return
        rung = await bob.request_in("INVITE")
        assert (rung.values(ASSERTED), rung.has("route")) == ([f"<{ALICE}>"], False)
        await bob.reply(rung, 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize("answers", [500, 503, 599, 408, 600])
@on_loop
async def test_phone_rings_once_if_the_application_fails_after_it_has_let_the_call_on(
    pool: Network, answers: int
) -> None:
    """Its failure is the answer, also with `pass`: the phone has rung, and the application takes its own call back."""
    pool.set_application(if_away="pass")
    async with pool:
        alice, bob, bot = await pool.phone("alice", FE1), await pool.phone("bob", FE2), await application(pool)
        await alice.send(alice.request("INVITE", BOB))
        came = await bot.request_in("INVITE")
        onward = let_on(bot, came)
        await bot.send(onward)
        await bob.reply(await bob.request_in("INVITE"), 180)
        await bot.reply(came, answers)
        final = await alice.final()
        assert final.status == (500 if answers == 503 else answers)
        await bot.send(cancel_for(onward))
        await bob.request_in("CANCEL")
        await bob.silent()


@on_jumping_loop
async def test_application_that_is_silent_is_away(pool: Network) -> None:
    """It has the link, and answers nothing; what it answers later comes too late."""
    pool.set_application(if_away="pass")
    async with pool:
        alice, bob, bot = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await application(pool)
        await alice.send(alice.request("INVITE", BOB))
        came = await bot.request_in("INVITE")
        await asyncio.sleep(SILENT_S + 1)
        pool.nodes[FE1].sweep.tick()
        rung = await bob.request_in("INVITE")
        await bot.reply(came, 180)
        await bot.request_in("CANCEL")
        await bob.reply(rung, 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize("by", ["always", "busy"])
@on_loop
async def test_rules_of_the_callee_count_after_the_application(pool: Network, by: str) -> None:
    """Who gets the call then is screened too. The application gets its history."""
    await rules(pool, "bob", **{by: f"carol@{EXAMPLE}"})
    async with pool:
        alice, bob, bot = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await application(pool)
        carol = await pool.phone("carol", FE2)
        await alice.send(alice.request("INVITE", BOB))
        await bot.send(let_on(bot, await bot.request_in("INVITE")))
        if by == "busy":
            await bob.reply(await bob.request_in("INVITE"), 486)
        again = await next_invite(bot)
        assert (again.uri, again.values(ASSERTED)) == (CAROL, [f"<{ALICE}>"])
        assert [item.partition(">")[0] for item in again.items("history-info")] == [
            f"<{BOB}",
            f"<{CAROL};cause={302 if by == 'always' else 486}",
        ]
        await bot.send(let_on(bot, again))
        rung = await carol.request_in("INVITE")
        assert rung.values(ASSERTED) == [f"<{ALICE}>"]


async def next_invite(bot: Peer) -> Request:
    """Wait for the next INVITE; responses before it are passed over."""
    while not isinstance(came := await bot.receive(), Request):
        pass
    assert came.method == "INVITE"
    return came


@on_loop
async def test_calls_that_go_in_circles_end(pool: Network) -> None:
    """Two users forward to each other, and the application forgets all that it has seen of a call."""
    await rules(pool, "bob", always=f"carol@{EXAMPLE}")
    await rules(pool, "carol", always=f"bob@{EXAMPLE}")
    async with pool:
        alice, bot = await pool.phone("alice", FE1), await application(pool)
        await alice.send(alice.request("INVITE", BOB))
        screened = 0
        while isinstance(came := await bot.receive(), Request) or came.status < 200:
            if isinstance(came, Request):
                screened += 1
                await bot.send(let_on(bot, came))
        assert (came.status, screened) == (483, 6)


@on_loop
async def test_application_calls_its_users_itself(pool: Network) -> None:
    """In its own name: it does not get the call that it makes."""
    async with pool:
        bob, bot = await pool.phone("bob", FE1), await application(pool)
        await bot.send(bot.request("INVITE", BOB, sender=f"<sip:700@{BOT}>;tag=x"))
        assert (await bob.request_in("INVITE")).values(ASSERTED) == [f"<sip:700@{BOT}>"]


@on_loop
async def test_call_of_a_partner_is_let_on_as_one_of_its_user(federation: Network) -> None:
    async with federation:
        await federation.stop(FE2)
        bob, bot = await federation.phone("bob", FE1), await application(federation)
        erin = await federation.phone("erin", PARTNER_FE)
        await erin.send(erin.request("INVITE", BOB))
        came = await bot.request_in("INVITE")
        assert came.values(ASSERTED) == ["<sip:erin@partner.test>"]
        await bot.send(let_on(bot, came))
        assert (await bob.request_in("INVITE")).values(ASSERTED) == ["<sip:erin@partner.test>"]


@on_loop
async def test_users_of_another_pool_are_not_screened_and_their_calls_here_are(far: Network) -> None:
    """Who calls from another pool is let on as the user who is at home there."""
    async with far:
        dave, bob, bot = await far.phone("dave", FE3), await far.phone("bob", FE1), await application(far)
        await bob.send(bob.request("INVITE", f"sip:dave@{EXAMPLE}"))
        await dave.reply(await dave.request_in("INVITE"), 486)
        assert (await bob.final()).status == 486
        await dave.request_in("ACK")
        await dave.send(dave.request("INVITE", BOB))
        await bot.send(let_on(bot, await bot.request_in("INVITE")))
        assert (await bob.request_in("INVITE")).values(ASSERTED) == [f"<sip:dave@{EXAMPLE}>"]


@on_loop
async def test_call_in_place_of_another_one_is_not_screened(pool: Network) -> None:
    """It rings only at phones that know Replaces: it is no way round the application."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        await application(pool)
        replaces = ("replaces", "none@example.test;to-tag=a;from-tag=b")
        await alice.send(alice.request("INVITE", BOB, [replaces]))
        assert (await bob.request_in("INVITE")).items("require") == ["replaces"]


@pytest.mark.parametrize("by", ["always", "busy"])
@on_loop
async def test_call_of_another_pool_is_forwarded_to_a_user_of_another_pool(far: Network, by: str) -> None:
    """The application passes a redirection on, and the home pool of the caller carries it out: it asserts its own user."""
    far.organisations[0].add_users("erin", pool=POOL2)
    await rules(far, "bob", **{by: f"erin@{EXAMPLE}"})
    async with far:
        dave, erin = await far.phone("dave", FE3), await far.phone("erin", FE3)
        bob, bot = await far.phone("bob", FE1), await application(far)
        await dave.send(dave.request("INVITE", BOB))
        came = await bot.request_in("INVITE")
        await bot.send(let_on(bot, came))
        if by == "busy":
            await bob.reply(await bob.request_in("INVITE"), 486)
        moved = await bot.final()
        assert (moved.status, moved.has("diversion"), "erin" in str(moved.contacts)) == (302, False, False)
        bot.contact = moved.items("contact")[0]
        await bot.reply(came, 302)
        rung = await erin.request_in("INVITE")
        assert rung.values(ASSERTED) == [f"<sip:dave@{EXAMPLE}>"]
        await erin.reply(rung, 200)
        assert (await dave.final()).status == 200


@on_loop
async def test_application_gets_calls_after_its_certificate_was_renewed(pool: Network) -> None:
    """Its link with the new certificate is up before the old one is revoked, and closed: it lets on what comes then."""
    async with pool:
        alice, bob, old = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await application(pool)
        example = pool.organisations[0]
        before = x509.load_pem_x509_certificates(example.credentials(BOT)[0].read_bytes())[0]
        example.issue(BOT)
        renewed = await application(pool)
        pool.nodes[FE1].revocation.revoke([(example.ca.issuing.subject.public_bytes(), before.serial_number)])
        await old.hung_up()
        await alice.send(alice.request("INVITE", BOB))
        await renewed.send(let_on(renewed, await renewed.request_in("INVITE")))
        assert (await bob.request_in("INVITE")).values(ASSERTED) == [f"<{ALICE}>"]
