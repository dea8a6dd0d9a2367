"""What each sender may say on its link: rule R10 and the table of links, on the inside ports."""

from __future__ import annotations

import pytest

from sipmesh.trust.evidence import LinkKind
from support.network import BOT, EDGE, FE1, FE2, Network
from support.running import on_loop

ASSERTED = "p-asserted-identity"


@pytest.mark.parametrize(
    ("credentials", "asserted", "status"),
    [
        (FE2, "sip:carol@example.test", 200),
        (FE2, "sip:erin@partner.test", 403),
        (FE2, "sip:mallory@evil.test", 403),
        (EDGE, "sip:erin@partner.test", 200),
        (EDGE, "sip:carol@example.test", 403),
        (BOT, "sip:carol@example.test", 403),
        (BOT, "sip:bot@bot.example.test", 200),
        (BOT, "sip:bot@fe1.example.test", 403),
    ],
)
@on_loop
async def test_each_server_asserts_what_its_role_may(
    federation: Network, credentials: str, asserted: str, status: int
) -> None:
    async with federation:
        alice = await federation.phone("alice", FE1)
        server = await federation.peer(FE1, asserted.removeprefix("sip:"), credentials)
        await server.send(server.request("MESSAGE", "sip:alice@example.test", [(ASSERTED, f"<{asserted}>")]))
        if status == 200:
            came = await alice.request_in("MESSAGE")
            assert came.values(ASSERTED) == [f"<{asserted}>"]
            await alice.reply(came, 200)
        assert (await server.final()).status == status


@pytest.mark.parametrize(
    ("credentials", "sender"), [(FE2, "erin@partner.test"), (EDGE, "carol@example.test"), (BOT, "x@a.test")]
)
@on_loop
async def test_server_that_asserts_nothing_is_held_to_its_from(
    federation: Network, credentials: str, sender: str
) -> None:
    async with federation:
        server = await federation.peer(FE1, sender, credentials)
        assert (await server.ask(server.request("MESSAGE", "sip:alice@example.test"))).status == 403


@pytest.mark.parametrize("credentials", [FE2, EDGE, BOT])
@on_loop
async def test_servers_register_no_user(federation: Network, credentials: str) -> None:
    async with federation:
        server = await federation.peer(FE1, "alice", credentials)
        refused = await server.ask(server.request("REGISTER", "sip:example.test", to="<sip:alice@example.test>"))
        assert refused.status == 403
        assert "role" in (refused.first("warning") or "")


@on_loop
async def test_edge_brings_in_but_does_not_send_out_again(federation: Network) -> None:
    """Through us no peer reaches one partner from another."""
    async with federation:
        edge = await federation.peer(FE1, "erin@partner.test", EDGE)
        assert (await edge.ask(edge.request("MESSAGE", "sip:frank@partner.test"))).status == 403


@on_loop
async def test_front_end_sends_users_of_ours_to_partners_and_no_others(federation: Network) -> None:
    async with federation:
        erin = await federation.phone("erin", "fe1.partner.test")
        inside = await federation.peer_at(EDGE, LinkKind.SERVER, "alice@example.test", FE1)
        foreign = inside.request("MESSAGE", "sip:erin@partner.test", sender="<sip:x@partner.test>;tag=1")
        assert (await inside.ask(foreign)).status == 403
        await inside.send(inside.request("MESSAGE", "sip:erin@partner.test"))
        await erin.reply(await erin.request_in("MESSAGE"), 200)
        assert (await inside.final()).status == 200


@on_loop
async def test_edge_sends_to_partners_and_nowhere_else(federation: Network) -> None:
    async with federation:
        inside = await federation.peer_at(EDGE, LinkKind.SERVER, "alice@example.test", FE1)
        assert (await inside.ask(inside.request("MESSAGE", "sip:x@victim.example.net"))).status == 404
        assert (await inside.ask(inside.request("MESSAGE", "sip:x@evil.test"))).status == 403
        crafted = inside.request("MESSAGE", "sip:erin@partner.test", [("route", "<sip:victim.example.net;lr>")])
        assert (await inside.ask(crafted)).status == 403


@on_loop
async def test_application_is_reached_by_its_name_and_gets_the_identity(pool: Network) -> None:
    """It is a server of another make: here it opens the link, and the front end uses that one."""
    async with pool:
        alice = await pool.phone("alice", FE1)
        bot = await pool.peer(FE1, "bot", BOT)
        await bot.silent()  # the link is up on the other side too
        await alice.send(alice.request("MESSAGE", f"sip:help@{BOT}"))
        came = await bot.request_in("MESSAGE")
        assert came.values(ASSERTED) == ["<sip:alice@example.test>"]
        await bot.reply(came, 200, [(ASSERTED, "<sip:boss@example.test>")])
        assert not (await alice.final()).count(ASSERTED)
