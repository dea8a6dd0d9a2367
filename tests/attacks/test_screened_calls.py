"""An application that screens calls lets on those that came to it, once each, as calls of who has called; no other peer does."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from attacks.test_obedient_phones import ELSEWHERE, IN_PARTS
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.routing.passport.verification import MOST_REMEMBERED
from sipmesh.server.proxy.serving.screened_calls import LASTS_S, MAC_CHARACTERS, MARK, use_up
from sipmesh.server.proxy.serving.state import ServingState
from sipmesh.sip.message import Request
from sipmesh.sip.transaction.ack import cancel_for
from sipmesh.trust.role import Role
from support.call_rules import rules
from support.descriptions import with_body
from support.network import BEGAN, BOT, EXAMPLE, FE1, FE2, FE3, POOL, POOL2, Network, finished
from support.peer import Peer
from support.running import on_loop, until
from support.siblings import ONE, TWO, pair_of
from support.talking import inside_of

ASSERTED = "p-asserted-identity"
ALICE, BOB, CAROL = (f"sip:{name}@{EXAMPLE}" for name in ("alice", "bob", "carol"))


IN_TWO = "multipart/mixed; boundary=b"
OTHER = "other.example.test"


@pytest.fixture(autouse=True)
def _screens(request: pytest.FixtureRequest) -> None:
    """The application screens the calls to bob."""
    if "pool" in request.fixturenames:
        network: Network = request.getfixturevalue("pool")
        network.set_application(screens=[f"bob@{EXAMPLE}"])


@pytest.fixture(name="two")
def _two(tmp_path: Path) -> Network:
    """Two applications behind one server: one screens the calls to bob, the other those to carol. Dave and erin are far away."""
    plans = (
        PoolPlan(POOL, Role.FRONT_END, (FE1,)),
        PoolPlan(POOL2, Role.FRONT_END, (FE3,)),
        PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL, "screens": [f"bob@{EXAMPLE}"]}),
        PoolPlan(OTHER, Role.APPLICATION, (OTHER,), {"next_hop": POOL, "screens": [f"carol@{EXAMPLE}"]}),
    )
    organisation = finished(Organisation.build(tmp_path / "two", EXAMPLE, plans, issued_at=BEGAN))
    organisation.add_users("alice", "bob", "carol")
    organisation.add_users("dave", "erin", pool=POOL2)
    return Network((organisation,), starts=(FE1, FE3))


async def screened(caller: Peer, bot: Peer, *headers: tuple[str, str]) -> Request:
    """Have *caller* call bob; gives the INVITE as the application gets it."""
    await caller.send(caller.request("INVITE", BOB, headers))
    return await bot.request_in("INVITE")


def let_on(bot: Peer, came: Request, uri: str = BOB, sender: str = ALICE) -> Request:
    """Make the INVITE by which a B2BUA lets a call on: another Call-ID and tag, and the Route behind its own entry."""
    routes = [("route", route) for route in came.items("route")[1:]]
    return bot.request("INVITE", uri, routes, sender=f"<{sender}>;tag=b2b")


async def ready(pool: Network) -> tuple[Peer, Peer, Peer]:
    """Alice, bob at the other front end, and the application."""
    alice, bob, bot = await pool.phone("alice", FE1), await pool.phone("bob", FE2), await pool.peer(FE1, "bot", BOT)
    await bot.silent()
    return alice, bob, bot


@on_loop
async def test_call_that_is_let_on_rings_as_a_call_of_its_caller(pool: Network) -> None:
    """By a B2BUA, which proves nothing of the caller; bob's phone sees who calls, and it is not screened again."""
    async with pool:
        alice, bob, bot = await ready(pool)
        came = await screened(alice, bot)
        assert (came.uri, came.values(ASSERTED)) == (BOB, [f"<{ALICE}>"])
        await bob.silent()
        await bot.send(let_on(bot, came))
        rung = await bob.request_in("INVITE")
        assert rung.values(ASSERTED) == [f"<{ALICE}>"]
        await bob.reply(rung, 200)
        assert (await bot.final()).status == 200
        await bot.reply(came, 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize(("uri", "sender"), [(CAROL, ALICE), (BOB, CAROL), (BOB, "sip:anonymous@anonymous.invalid")])
@on_loop
async def test_token_leads_to_no_other_user_and_speaks_for_none(pool: Network, uri: str, sender: str) -> None:
    """Carol has never routed a call to the application. The INVITE that lets the call on comes after it, and rings."""
    async with pool:
        alice, bob, bot = await ready(pool)
        carol = await pool.phone("carol", FE1)
        came = await screened(alice, bot)
        assert (await bot.ask(let_on(bot, came, uri, sender))).status == 403
        await carol.silent()
        await bob.silent()
        await bot.send(let_on(bot, came))
        await bob.request_in("INVITE")


@on_loop
async def test_token_lets_one_call_on(pool: Network) -> None:
    """Not a second one, and not the next call of the same caller, which has a token of its own."""
    async with pool:
        alice, bob, bot = await ready(pool)
        first = await screened(alice, bot)
        await bot.send(let_on(bot, first))
        await bob.reply(await bob.request_in("INVITE"), 486)
        assert (await bot.final()).status == 486
        assert (await bot.ask(let_on(bot, first))).status == 403
        await bob.request_in("ACK")
        await bot.reply(first, 486)
        assert (await alice.final()).status == 486
        await bot.request_in("ACK")
        second = await screened(alice, bot)
        await bot.send(let_on(bot, second))
        await bob.request_in("INVITE")


@on_loop
async def test_calls_of_one_caller_keep_no_other_call_from_going_on(pool: Network) -> None:
    """Each of carol's calls has used its token: more of them than signed calls of a partner are remembered."""
    async with pool:
        alice, bob, bot = await ready(pool)
        state = pool.nodes[FE1].core.state
        for number in range(MOST_REMEMBERED + 1):
            assert not use_up(state, BOT, f"{number:>{MAC_CHARACTERS}}")
        first = await screened(alice, bot)
        await bot.send(let_on(bot, first))
        await bob.reply(await bob.request_in("INVITE"), 486)
        assert (await bot.final()).status == 486
        assert (await bot.ask(let_on(bot, first))).status == 403


@pytest.mark.parametrize(("later_s", "status"), [(LASTS_S - 5, 200), (LASTS_S + 5, 403)])
@on_loop
async def test_token_ends(pool: Network, later_s: int, status: int) -> None:
    async with pool:
        alice, bob, bot = await ready(pool)
        came = await screened(alice, bot)
        state = pool.nodes[FE1].core.state
        at = state.wall() + later_s
        state.wall = lambda: at
        await bot.send(let_on(bot, came))
        if status == 200:
            await bob.reply(await bob.request_in("INVITE"), 200)
        assert (await bot.final()).status == status


@on_loop
async def test_token_is_of_the_server_that_made_it(pool: Network) -> None:
    """It is remembered there that it was used."""
    async with pool:
        alice, bob, bot = await ready(pool)
        other = await pool.peer(FE2, "bot", BOT)
        came = await screened(alice, bot)
        assert (await other.ask(let_on(other, came))).status == 403
        await bob.silent()


@on_loop
async def test_token_is_worth_nothing_to_a_phone(pool: Network) -> None:
    """The call of a phone with it is screened as each call of this phone is."""
    async with pool:
        alice, bob, bot = await ready(pool)
        carol = await pool.phone("alice", FE1)
        came = await screened(alice, bot)
        await carol.send(let_on(carol, came))
        again = await bot.request_in("INVITE")
        assert again.values(ASSERTED) == [f"<{ALICE}>"]
        assert again.items("route")[1] != came.items("route")[1]
        await bob.silent()


@pytest.mark.parametrize("privacy", ["", "id"])
@on_loop
async def test_withheld_name_stays_withheld(pool: Network, privacy: str) -> None:
    """An application that loses Privacy would show the caller."""
    async with pool:
        alice, bob, bot = await ready(pool)
        came = await screened(alice, bot, ("privacy", "id"))
        back = let_on(bot, came)
        if privacy:
            back.append("privacy", privacy)
        await bot.send(back)
        if not privacy:
            assert (await bot.final()).status == 403
            await bob.silent()
            return
        assert not (await bob.request_in("INVITE")).has(ASSERTED)


@pytest.mark.parametrize(
    "header",
    [
        ("answer-mode", "Auto;require"),
        ("priv-answer-mode", "Auto"),
        ("p-auto-answer", "normal"),
        ("alert-info", "<http://evil.test/ring>;info=alert-autoanswer"),
        ("call-info", "<sip:evil.test>;answer-after=0"),
        ("reply-to", "<sip:evil@evil.test>"),
    ],
)
@on_loop
async def test_call_that_is_let_on_says_no_more_than_its_caller(pool: Network, header: tuple[str, str]) -> None:
    """The phone of bob does not answer by itself, or call back elsewhere. Under its own name, the application may ask for it."""
    async with pool:
        alice, bob, bot = await ready(pool)
        onward = let_on(bot, await screened(alice, bot))
        onward.append(*header)
        await bot.send(onward)
        rung = await bob.request_in("INVITE")
        assert (rung.values(ASSERTED), rung.has(header[0])) == ([f"<{ALICE}>"], False)
        await bot.send(bot.request("INVITE", BOB, [header], sender=f"<sip:700@{BOT}>;tag=own"))
        assert (await bob.request_in("INVITE")).has(header[0])


@pytest.mark.parametrize("body", [(b"Content-Type: image/png\r\n\r\n", ELSEWHERE), (IN_PARTS, IN_TWO)])
@on_loop
async def test_call_that_is_let_on_has_no_phone_fetch_a_body(pool: Network, body: tuple[bytes, str]) -> None:
    """Its caller may not either. Without such a body, the same call rings; under its own name, the application may send it.

    The rule for media that is the default refuses such a body from each sender, because it may be a session description.
    """
    pool.organisations[0].document["media"] = "any"
    async with pool:
        alice, bob, bot = await ready(pool)
        came = await screened(alice, bot)
        assert (await bot.ask(with_body(let_on(bot, came), *body))).status == 415
        await bob.silent()
        await bot.send(with_body(let_on(bot, came), b"hello", "text/plain"))
        rung = await bob.request_in("INVITE")
        assert (rung.values(ASSERTED), rung.body) == ([f"<{ALICE}>"], b"hello")
        await bot.send(with_body(bot.request("INVITE", BOB, sender=f"<sip:700@{BOT}>;tag=own"), *body))
        assert (await bob.request_in("INVITE")).body == body[0]


@pytest.mark.parametrize("is_its_own", [False, True])
@on_loop
async def test_application_says_no_more_than_its_caller_inside_the_call(pool: Network, *, is_its_own: bool) -> None:
    """It names no picture and no body that a phone fetches, and no `talk` has the phone answer. Under its own name, it may."""
    async with pool:
        alice, bob, bot = await ready(pool)
        onward = (
            bot.request("INVITE", BOB, sender=f"<sip:700@{BOT}>;tag=own")
            if is_its_own
            else let_on(bot, await screened(alice, bot))
        )
        await bot.send(onward)
        await bob.reply(await bob.request_in("INVITE"), 200)
        dialog = Dialog.of_caller(onward, await bot.final())
        await bot.send(inside_of(dialog, bot, "ACK"))
        await bob.request_in("ACK")
        asked = inside_of(dialog, bot, "INFO")
        asked.append("call-info", "<http://192.0.2.99/here.png>;purpose=icon")
        await bot.send(asked)
        came = await bob.request_in("INFO")
        assert came.has("call-info") is is_its_own
        await bob.reply(came, 200)
        assert (await bot.final()).status == 200
        talk = inside_of(dialog, bot, "NOTIFY")
        for name, value in (("event", "talk"), ("subscription-state", "active")):
            talk.append(name, value)
        message = with_body(inside_of(dialog, bot, "MESSAGE"), IN_PARTS, IN_TWO)
        for asked, status in ((talk, 481), (message, 415)):
            await bot.send(asked)
            if is_its_own:
                await bob.reply(await bob.request_in(asked.method), 200)
            assert (await bot.final()).status == (200 if is_its_own else status)
        await bob.silent()


@pytest.mark.parametrize(("shown", "rings"), [("Alice A.", True), ("", True), ("Your bank", False)])
@on_loop
async def test_application_gives_a_caller_no_other_name(pool: Network, shown: str, *, rings: bool) -> None:
    """It may leave the display name out, in From of the call that it lets on."""
    async with pool:
        alice, bob, bot = await ready(pool)
        await alice.send(alice.request("INVITE", BOB, sender=f'"Alice A." <{ALICE}>;tag=a'))
        onward = let_on(bot, await bot.request_in("INVITE"), sender=ALICE)
        onward.replace("from", f'"{shown}" <{ALICE}>;tag=b2b')
        await bot.send(onward)
        if rings:
            assert (await bob.request_in("INVITE")).from_.display == shown
            return
        assert (await bot.final()).status == 403
        await bob.silent()


@pytest.mark.parametrize("uri", [BOB, CAROL])
@on_loop
async def test_token_is_of_one_application(two: Network, uri: str) -> None:
    """The other one gets nowhere with it: to bob, who has never routed a call to it, or to carol, who has."""
    async with two:
        alice, bob, bot = await two.phone("alice", FE1), await two.phone("bob", FE1), await two.peer(FE1, "bot", BOT)
        carol, other = await two.phone("carol", FE1), await two.peer(FE1, "other", OTHER)
        for application in (bot, other):
            await application.silent()
        came = await screened(alice, bot)
        assert (await other.ask(let_on(other, came, uri))).status == 403
        assert (await other.ask(other.request("INVITE", uri, sender=f"<{ALICE}>;tag=x"))).status == 403
        for phone in (bob, carol):
            await phone.silent()
        await bot.send(let_on(bot, came))
        await bob.request_in("INVITE")


@pytest.mark.parametrize("token", ["", "A", "A" * 120, "A" * 4_000])
@on_loop
async def test_made_up_token_is_refused(pool: Network, token: str) -> None:
    async with pool:
        _, bob, bot = await ready(pool)
        route = ("route", f"<sip:{MARK}{token}@{FE1};lr>")
        assert (await bot.ask(bot.request("INVITE", BOB, [route], sender=f"<{ALICE}>;tag=x"))).status == 403
        await bob.silent()


@on_loop
async def test_token_lets_the_same_invite_on_once(pool: Network) -> None:
    """With another branch, and the same Call-ID, tag and CSeq: the phone would ring again after its caller has gone."""
    async with pool:
        alice, bob, bot = await ready(pool)
        onward = let_on(bot, await screened(alice, bot))
        again = onward.copy()
        again.pop_item("via")
        again.prepend("via", bot.via())
        await bot.send(onward)
        await bob.reply(await bob.request_in("INVITE"), 486)
        assert (await bot.final()).status == 486
        assert (await bot.ask(again)).status == 403
        await bob.request_in("ACK")
        await bob.silent()


@pytest.mark.parametrize("caller", ["alice", "carol"])
@on_loop
async def test_blocked_caller_stays_blocked_after_the_application(pool: Network, caller: str) -> None:
    """The application cannot have bob's phone ring for alice, whom bob has blocked. Carol gets through."""
    await rules(pool, "bob", callers={"alice": "block"})
    async with pool:
        _, bob, bot = await ready(pool)
        calls = await pool.phone(caller, FE1)
        came = await screened(calls, bot)
        await bot.send(let_on(bot, came, sender=f"sip:{caller}@{EXAMPLE}"))
        if caller == "carol":
            await bob.request_in("INVITE")
            return
        assert (await bot.final()).status == 603
        await bob.silent()


@pytest.mark.parametrize(("screens", "dialled"), [("bob", "Bob"), ("Bob", "bob"), ("Bob", "b%6Fb")])
@on_loop
async def test_no_spelling_of_a_user_leads_past_the_application(pool: Network, screens: str, dialled: str) -> None:
    pool.set_application(screens=[f"{screens}@{EXAMPLE}"])
    async with pool:
        alice, bob, bot = await ready(pool)
        await alice.send(alice.request("INVITE", f"sip:{dialled}@{EXAMPLE}"))
        await bot.request_in("INVITE")
        await bob.silent()


@on_loop
async def test_token_used_at_one_worker_is_used_at_the_other(pool: Network) -> None:
    """Also the same INVITE by a link of the application to the other worker. A token that was not used is good at both."""
    async with pair_of(pool.organisations[0]) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", ONE)
        one, two = await pair.peer("bot", ONE, BOT), await pair.peer("bot", TWO, BOT)
        for application in (one, two):
            await application.silent()
        states = [pair.nodes[worker].core.state for worker in (ONE, TWO)]
        for used, (first, second) in enumerate(((one, two), (two, one)), start=1):
            await alice.send(alice.request("INVITE", BOB))
            came = await first_of(one, two)
            onward = let_on(first, came)
            await first.send(onward)
            await bob.reply(await bob.request_in("INVITE"), 486)
            assert (await first.final()).status == 486
            await bob.request_in("ACK")
            await until(partial(knows, states, used))
            for again in (onward, let_on(second, came)):
                assert (await second.ask(again)).status == 403
            await bob.silent()


def knows(states: list[ServingState], tokens: int) -> bool:
    """Tell whether each worker knows of so many tokens."""
    return all(len([*state.used_tokens.entries()]) == tokens for state in states)


async def first_of(*peers: Peer) -> Request:
    """Wait until one of the *peers* gets an INVITE, and return it. Responses that come before it are ignored."""
    waiting = [asyncio.ensure_future(peer.request_in("INVITE")) for peer in peers]
    done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    return done.pop().result()


DAVE, ERIN = (f"sip:{name}@{EXAMPLE}" for name in ("dave", "erin"))


@pytest.mark.parametrize("callee", ["bob", "carol"])
@on_loop
async def test_redirection_of_one_call_leads_no_other_call_on(two: Network, callee: str) -> None:
    """Neither the next call to bob, who forwards, nor a call to carol, who does not. The call itself goes on to erin."""
    await rules(two, "bob", always=f"erin@{EXAMPLE}")
    async with two:
        dave, erin = await two.phone("dave", FE3), await two.phone("erin", FE3)
        bot, other = await two.peer(FE1, "bot", BOT), await two.peer(FE1, "other", OTHER)
        for application in (bot, other):
            await application.silent()
        first = await screened(dave, bot)
        await bot.send(let_on(bot, first, sender=DAVE))
        moved = (await bot.final()).items("contact")[0]
        attacker = bot if callee == "bob" else other
        again = await two.phone("dave", FE3)
        await again.send(again.request("INVITE", f"sip:{callee}@{EXAMPLE}"))
        attacker.contact = moved
        await attacker.reply(await attacker.request_in("INVITE"), 302)
        assert (await again.final()).status == 302
        await erin.silent()
        bot.contact = moved
        await bot.reply(first, 302)
        assert (await erin.request_in("INVITE")).values(ASSERTED) == [f"<{DAVE}>"]


@on_loop
async def test_application_forwards_no_call_in_the_name_of_its_callee(two: Network) -> None:
    """By a redirection that it writes itself, as a home pool would, or by an INVITE without a token: bob forwards nothing."""
    async with two:
        dave, erin = await two.phone("dave", FE3), await two.phone("erin", FE3)
        bot = await two.peer(FE1, "bot", BOT)
        await bot.silent()
        came = await screened(dave, bot)
        assert (await bot.ask(bot.request("INVITE", ERIN, sender=f"<{DAVE}>;tag=x"))).status == 403
        bot.contact = f"<{ERIN}>"
        await bot.reply(came, 302, [("diversion", f"<{BOB}>;reason=unconditional")])
        moved = await dave.final()
        assert (moved.status, moved.has("diversion")) == (302, False)
        await erin.silent()


@on_loop
async def test_two_applications_that_screen_each_others_calls_end(two: Network) -> None:
    """After six screenings: each application lets on what comes with 70 hops and no history, and bob and carol forward."""
    await rules(two, "bob", always=f"carol@{EXAMPLE}")
    await rules(two, "carol", always=f"bob@{EXAMPLE}")
    async with two:
        alice, bot, other = (
            await two.phone("alice", FE1),
            await two.peer(FE1, "bot", BOT),
            await two.peer(FE1, "other", OTHER),
        )
        for application in (bot, other):
            await application.silent()
        await alice.send(alice.request("INVITE", BOB))
        for application in 3 * (bot, other):
            while not isinstance(came := await application.receive(), Request):
                pass
            await application.send(let_on(application, came, came.uri))
        assert (await other.final()).status == 483


@pytest.mark.parametrize("realm", ["bot.example.test", "evil.test", "example.test"])
@pytest.mark.parametrize("uri", [BOB, "sip:bot@bot.example.test"])
@on_loop
async def test_application_that_screens_calls_gets_no_digest_of_the_password(
    pool: Network, uri: str, realm: str
) -> None:
    """Alice has called bob. Those who call the application itself are challenged, in its own realm."""
    async with pool:
        alice, _, bot = await ready(pool)
        await alice.send(alice.request("INVITE", uri))
        challenge = ("proxy-authenticate", f'Digest realm="{realm}", nonce="n", algorithm=SHA-256, qop="auth"')
        await bot.reply(await bot.request_in("INVITE"), 407, [challenge])
        answer = await alice.final()
        passes = uri != BOB and realm != "example.test"
        assert (answer.status, answer.has("proxy-authenticate")) == ((407, True) if passes else (403, False))


@pytest.mark.parametrize("is_let_on", [False, True])
@on_loop
async def test_call_that_its_caller_takes_back_is_cancelled_at_the_application(
    pool: Network, *, is_let_on: bool
) -> None:
    """Before and after it has let the call on: the application gets CANCEL, and its own CANCEL stops the phone of the callee."""
    async with pool:
        alice, bob, bot = await ready(pool)
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        came = await bot.request_in("INVITE")
        await bot.reply(came, 180)
        onward = let_on(bot, came)
        if is_let_on:
            await bot.send(onward)
            await bob.reply(await bob.request_in("INVITE"), 180)
        await alice.send(cancel_for(invite))
        while not isinstance(cancelled := await bot.receive(), Request):
            pass
        assert (cancelled.method, cancelled.top_via.branch) == ("CANCEL", came.top_via.branch)
        if is_let_on:
            await bot.send(cancel_for(onward))
            await bob.request_in("CANCEL")
        else:
            assert (await bot.ask(onward)).status == 403
            await bob.silent()


@pytest.mark.parametrize(("status", "later"), [(603, 403), (480, 403), (503, 403), (200, 200)])
@on_loop
async def test_application_that_has_not_accepted_a_call_does_not_let_it_on_later(
    pool: Network, status: int, later: int
) -> None:
    """An assistant that has answered alice does."""
    async with pool:
        alice, bob, bot = await ready(pool)
        came = await screened(alice, bot)
        await bot.reply(came, status)
        assert ((await alice.final()).status == 200) == (later == 200)
        if status != 200:
            await bot.request_in("ACK")
        await bot.send(let_on(bot, came))
        if later == 200:
            await bob.reply(await bob.request_in("INVITE"), 200)
        assert (await bot.final()).status == later
