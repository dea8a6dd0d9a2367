"""An application has its certified name, and the addresses and numbers that the topology gives it; it has no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.call_rules import rules
from support.network import BEGAN, BOT, EDGE, EXAMPLE, FE1, FE2, FE3, PARTNER_FE, POOL, POOL2, Network, finished
from support.running import on_loop
from support.talking import inside_of, talking

ASSERTED = "p-asserted-identity"
ECHO = f"echo@{EXAMPLE}"
NUMBERS = "+49301234"
NUMBER = f"{NUMBERS}56"
ALICES = "+49309999999"


@pytest.fixture(autouse=True)
def _names(request: pytest.FixtureRequest) -> None:
    """The application has an address and numbers, and Alice has a number."""
    for name in ("pool", "federation"):
        if name in request.fixturenames:
            network: Network = request.getfixturevalue(name)
            network.set_application(sip_addresses=[ECHO], numbers=[NUMBERS])
            users = Users(network.organisations[0].load().users_url)
            users.add_alias(f"alice@{EXAMPLE}", ALICES)
            users.close()


@pytest.fixture(name="far")
def _far(tmp_path: Path) -> Network:
    """Two pools, of which the first has the application behind it, and the second bob."""
    plans = (
        PoolPlan(POOL, Role.FRONT_END, (FE1,)),
        PoolPlan(POOL2, Role.FRONT_END, (FE3,)),
        PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL, "sip_addresses": [ECHO], "numbers": [NUMBERS]}),
    )
    organisation = finished(Organisation.build(tmp_path / "far", EXAMPLE, plans, issued_at=BEGAN))
    organisation.add_users("bob", pool=POOL2)
    return Network((organisation,), starts=(FE1, FE3))


@pytest.mark.parametrize(
    ("sender", "identity"),
    [
        (f"<sip:{ECHO}>", f"sip:{ECHO}"),
        (f"<sip:700@{BOT}>", f"sip:700@{BOT}"),
        (f"<sip:{NUMBER}@{EXAMPLE}>", f"sip:{NUMBER}@{EXAMPLE}"),
        (f"<sip:{NUMBER}@{BOT};user=phone>", f"sip:{NUMBER}@{BOT}"),
    ],
)
@on_loop
async def test_application_calls_under_its_own_names(pool: Network, sender: str, identity: str) -> None:
    """The phone is at the other front end, which accepts what the first one has accepted."""
    async with pool:
        bob, bot = await pool.phone("bob", FE2), await pool.peer(FE1, "bot", BOT)
        await bot.send(bot.request("MESSAGE", f"sip:bob@{EXAMPLE}", sender=f"{sender};tag=x"))
        came = await bob.request_in("MESSAGE")
        assert came.values(ASSERTED) == [f"<{identity}>"]
        await bob.reply(came, 200)
        assert (await bot.final()).status == 200


@pytest.mark.parametrize(
    "sender",
    [
        f"<sip:bob@{EXAMPLE}>",
        f"<sip:echo2@{EXAMPLE}>",
        "<sip:echo@partner.test>",
        "<tel:+4930999>",
        f"<tel:{ALICES}>",
        f"<sip:{ALICES}@{EXAMPLE}>",
        f"<sip:{ALICES}@{BOT}>",
        f"<sip:%2B{ALICES[1:]}@{EXAMPLE}>",
        f"<sip:+49301235@{EXAMPLE}>",
        "<sip:700@fe1.example.test>",
    ],
)
@on_loop
async def test_application_calls_under_no_other_name(pool: Network, sender: str) -> None:
    """Neither in From nor in P-Asserted-Identity, outside a call or inside one."""
    async with pool:
        bob, bot = await pool.phone("bob", FE1), await pool.peer(FE1, "bot", BOT)
        refused = await bot.ask(bot.request("MESSAGE", f"sip:bob@{EXAMPLE}", sender=f"{sender};tag=x"))
        assert refused.status == 403
        bot.user = ECHO
        if "tel:" in sender:  # a tel URI asserts nothing (RFC 3325 section 9.1)
            return
        refused = await bot.ask(bot.request("MESSAGE", f"sip:bob@{EXAMPLE}", [(ASSERTED, sender)]))
        assert refused.status == 403
        _, _, dialog = await talking(bot, bob)
        await bob.request_in("ACK")
        asserting = inside_of(dialog, bot, "INFO")
        asserting.append(ASSERTED, sender)
        assert (await bot.ask(asserting)).status == 403
        await bob.silent()


@on_loop
async def test_user_of_the_same_name_comes_before_the_application(pool: Network) -> None:
    """Alice has proved the name. The application neither asserts it nor gets her calls."""
    pool.set_application(sip_addresses=[f"alice@{EXAMPLE}", ECHO])
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        bot = await pool.peer(FE1, "bot", BOT)
        refused = await bot.ask(bot.request("MESSAGE", f"sip:bob@{EXAMPLE}", sender=f"<sip:alice@{EXAMPLE}>;tag=x"))
        assert refused.status == 403
        await bob.send(bob.request("MESSAGE", f"sip:alice@{EXAMPLE}"))
        await alice.reply(await alice.request_in("MESSAGE"), 200)
        assert (await bob.final()).status == 200


@pytest.mark.parametrize("called", [f"sip:{ECHO}", f"tel:{NUMBER}", f"sip:{NUMBER}@{EXAMPLE}", f"sip:700@{BOT}"])
@on_loop
async def test_user_calls_an_application_by_each_of_its_names(pool: Network, called: str) -> None:
    """It gets the number of its caller, and may go on in the call by the other front end."""
    async with pool:
        alice, bot = await pool.phone("alice", FE1), await pool.peer(FE1, "bot", BOT)
        await bot.silent()  # the link is up on the other side too
        await alice.send(alice.request("MESSAGE", called))
        came = await bot.request_in("MESSAGE")
        assert came.values(ASSERTED) == [f"<sip:alice@{EXAMPLE}>", f"<tel:{ALICES}>"]
        await bot.reply(came, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_application_calls_a_user_at_the_name_of_a_server(pool: Network) -> None:
    """Many PBXs do. A phone does not, and no domain is guessed for it."""
    async with pool:
        bob, bot = await pool.phone("bob", FE2), await pool.peer(FE1, "bot", BOT)
        await bot.send(bot.request("MESSAGE", f"sip:bob@{FE1}", sender=f"<sip:{ECHO}>;tag=x"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await bot.final()).status == 200
        alice = await pool.phone("alice", FE1)
        assert (await alice.ask(alice.request("MESSAGE", f"sip:bob@{FE1}"))).status == 404


@pytest.mark.parametrize("called", [f"sip:{ECHO}", f"sip:{NUMBER}@{EXAMPLE}"])
@pytest.mark.parametrize("public", [False, True])
@on_loop
async def test_partner_calls_a_public_application_alone(federation: Network, called: str, *, public: bool) -> None:
    """By the addresses and numbers that it has in our domains."""
    federation.set_application(public=public)
    async with federation:
        await federation.stop(FE2)
        bot = await federation.peer(FE1, "bot", BOT)
        await bot.silent()
        erin = await federation.phone("erin", PARTNER_FE)
        await erin.send(erin.request("INVITE", called))
        if not public:
            assert (await erin.final()).status == 403
            return
        came = await bot.request_in("INVITE")
        assert came.values(ASSERTED) == ["<sip:erin@partner.test>"]
        await bot.reply(came, 200)
        assert (await erin.final()).status == 200


@on_loop
async def test_users_and_a_partner_are_in_one_conference_and_each_leaves_alone(federation: Network) -> None:
    """A conference is an application that several call at one address. Who hangs up ends no call of the others."""
    federation.set_application(public=True)
    async with federation:
        await federation.stop(FE2)
        room = await federation.peer(FE1, "room", BOT)
        await room.silent()
        callers = [
            await federation.phone(name, at) for name, at in (("alice", FE1), ("bob", FE1), ("erin", PARTNER_FE))
        ]
        dialogs = []
        for caller in callers:
            invite = caller.request("INVITE", f"sip:{ECHO}")
            await caller.send(invite)
            came = await room.request_in("INVITE")
            assert came.values(ASSERTED)[0] == f"<sip:{caller.user}>"
            await room.reply(came, 200)
            dialogs.append(Dialog.of_caller(invite, await caller.final()))
            await caller.send(inside_of(dialogs[-1], caller, "ACK"))
            await room.request_in("ACK")
        for caller, dialog in zip(callers, dialogs, strict=True):
            others = [one for one in zip(callers, dialogs, strict=True) if one[0] is not caller]
            await caller.send(inside_of(dialog, caller, "BYE"))
            await room.reply(await room.request_in("BYE"), 200)
            assert (await caller.final()).status == 200
            for other, its in others[callers.index(caller) :]:
                await other.send(inside_of(its, other, "INFO"))
                await room.reply(await room.request_in("INFO"), 200)
                assert (await other.final()).status == 200


@on_loop
async def test_partner_does_not_reach_the_certified_name_of_a_public_application(federation: Network) -> None:
    federation.set_application(public=True)
    async with federation:
        inside = await federation.peer_at(FE1, LinkKind.SERVER, "erin@partner.test", EDGE)
        assert (await inside.ask(inside.request("MESSAGE", f"sip:700@{BOT}"))).status == 403


@pytest.mark.parametrize("name", [ECHO, f"{NUMBER}@{EXAMPLE}", f"700@{BOT}"])
@on_loop
async def test_application_and_user_of_another_pool_call_each_other(far: Network, name: str) -> None:
    """By the front ends before the application."""
    async with far:
        bob, bot = await far.phone("bob", FE3), await far.peer(FE1, "bot", BOT)
        await bot.send(bot.request("MESSAGE", f"sip:bob@{EXAMPLE}", sender=f"<sip:{name}>;tag=x"))
        came = await bob.request_in("MESSAGE")
        assert came.values(ASSERTED) == [f"<sip:{name}>"]
        await bob.reply(came, 200)
        assert (await bot.final()).status == 200
        await bob.send(bob.request("MESSAGE", f"sip:{name}"))
        back = await bot.request_in("MESSAGE")
        assert back.values(ASSERTED) == [f"<sip:bob@{EXAMPLE}>"]
        await bot.reply(back, 200)
        assert (await bob.final()).status == 200


@on_loop
async def test_front_end_of_another_pool_does_not_bring_the_application(far: Network) -> None:
    """The key of a front end is worth the names of the applications behind its own pool alone."""
    async with far:
        stolen = await far.peer(FE1, "x", FE3)
        refused = await stolen.ask(stolen.request("MESSAGE", f"sip:bob@{EXAMPLE}", sender=f"<sip:700@{BOT}>;tag=x"))
        assert refused.status == 403


@pytest.mark.parametrize("target", [ECHO, NUMBER, f"700@{BOT}"])
@on_loop
async def test_call_is_forwarded_to_an_application_by_each_of_its_names(pool: Network, target: str) -> None:
    """A voice mail gets the call of a user who does not answer, and who was called."""
    await rules(pool, "bob", away=target)
    async with pool:
        alice, bot = await pool.phone("alice", FE1), await pool.peer(FE1, "bot", BOT)
        await bot.silent()
        await alice.send(alice.request("INVITE", f"sip:bob@{EXAMPLE}"))
        came = await bot.request_in("INVITE")
        assert came.first("p-asserted-identity") == f"<sip:alice@{EXAMPLE}>"
        assert (came.first("history-info") or "").startswith(f"<sip:bob@{EXAMPLE}>")
        await bot.reply(came, 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize("target", [ECHO, NUMBER, f"700@{BOT}"])
@on_loop
async def test_user_of_another_pool_forwards_to_an_application_by_the_pool_before_it(far: Network, target: str) -> None:
    far.organisations[0].add_users("carol", pool=POOL2)
    await rules(far, "bob", away=target)
    async with far:
        carol, bot = await far.phone("carol", FE3), await far.peer(FE1, "bot", BOT)
        await bot.silent()
        await carol.send(carol.request("INVITE", f"sip:bob@{EXAMPLE}"))
        came = await bot.request_in("INVITE")
        assert came.first("p-asserted-identity") == f"<sip:carol@{EXAMPLE}>"
        await bot.reply(came, 200)
        assert (await carol.final()).status == 200


@on_loop
async def test_partner_reaches_an_application_to_which_a_user_forwards(federation: Network) -> None:
    """It is not public: the user lets callers reach it. To call it directly is refused."""
    await rules(federation, "bob", away=ECHO)
    async with federation:
        await federation.stop(FE2)
        bot = await federation.peer(FE1, "bot", BOT)
        await bot.silent()
        erin = await federation.phone("erin", PARTNER_FE)
        assert (await erin.ask(erin.request("INVITE", f"sip:{ECHO}"))).status == 403
        await erin.send(erin.request("INVITE", f"sip:bob@{EXAMPLE}"))
        came = await bot.request_in("INVITE")
        assert came.first("p-asserted-identity") == "<sip:erin@partner.test>"
        await bot.reply(came, 200)
        assert (await erin.final()).status == 200
