"""Messages between users of one organisation."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from support.network import BOT, FE1, FE2, POOL, UNHURRIED, Network, text
from support.running import on_loop
from support.tiers import wide_after


@on_loop
async def test_message_arrives_the_moment_the_other_front_end_has_registered(pool: Network) -> None:
    """The row is stored before the 200 goes out, and every front end reads the same store."""
    async with pool:
        alice = await pool.agent("alice", FE1)
        bob = await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "hello")).ok
        came = await text(bob)
        assert (came.text, came.identity) == ("hello", "sip:alice@example.test")
        assert came.hops[1:] == (FE1, FE2)


@on_loop
@pytest.mark.wide
async def test_a_thousand_messages_at_once_all_arrive(pool: Network) -> None:
    """There is room for all of them: on a busy machine bob's phone may read nothing until the last one was sent."""
    pool.limits = replace(UNHURRIED, queue_client_bytes=10_000_000)
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        outcomes = await asyncio.gather(*(alice.message("bob@example.test", str(n)) for n in range(1000)))
        assert {(outcome.status, outcome.reason, outcome.warnings) for outcome in outcomes if not outcome.ok} == set()
        assert {(await text(bob)).text for _ in range(1000)} == set(map(str, range(1000)))
        assert not pool.nodes[FE1].flow_table.sessions()[0].served


@on_loop
async def test_user_who_is_not_registered_gets_it_later_and_an_unknown_one_is_not_found(home: Network) -> None:
    async with home:
        alice = await home.agent("alice", FE1)
        assert (await alice.message("bob@example.test", "hello")).status == 202
        assert (await alice.message("nobody@example.test", "hello")).status == 404


@on_loop
async def test_from_of_another_user_is_refused_and_its_own_is_not(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        refused = await alice.request("MESSAGE", "bob@example.test", sender="carol@example.test")
        assert refused.status == 407
        refused = await alice.request("MESSAGE", "bob@example.test", sender="erin@partner.test")
        assert refused.status == 403
        assert "refused: identity, reference" in refused.warnings[0]
        assert (await alice.request("MESSAGE", "bob@example.test", sender="alice@example.test")).ok
        assert (await text(bob)).sender == "sip:alice@example.test"


@on_loop
async def test_refused_message_can_be_looked_up_by_its_reference(home: Network) -> None:
    async with home:
        alice = await home.agent("alice", FE1)
        refused = await alice.request("MESSAGE", "bob@example.test", sender="erin@partner.test")
        told = home.nodes[FE1].refusals.newest[-1]
        assert told.reference in refused.warnings[0]
        assert (told.code, told.peer) == ("from-not-allowed", "sip:alice@example.test")
        assert "erin" not in refused.warnings[0]


@on_loop
async def test_identity_that_a_client_asserts_is_replaced_by_the_one_it_has_proved(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        boss = ("p-asserted-identity", "<sip:boss@example.test>")
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test", [boss]))
        came = await bob.request_in("MESSAGE")
        assert came.values("p-asserted-identity") == ["<sip:alice@example.test>"]
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_identity_that_a_client_asserts_in_its_answer_is_taken_away(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("MESSAGE"), 200, [("p-asserted-identity", "<sip:boss@example.test>")])
        assert not (await alice.final()).count("p-asserted-identity")


@pytest.mark.parametrize(("privacy", "shown"), [("none", 1), ("header; id", 0)])
@on_loop
async def test_identity_is_withheld_from_the_callee_where_its_owner_asks_for_it(
    pool: Network, privacy: str, shown: int
) -> None:
    """RFC 3325 section 5; From stays as it was written, a client that wants none there writes none."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test", [("privacy", privacy)]))
        assert (await bob.request_in("MESSAGE")).count("p-asserted-identity") == shown


@on_loop
async def test_client_that_has_proved_nothing_is_challenged_before_anything_is_looked_up(home: Network) -> None:
    async with home:
        stranger = await home.peer(FE1, "alice")
        asked = await stranger.ask(stranger.request("MESSAGE", "sip:nobody@example.test"))
        assert (asked.status, asked.count("proxy-authenticate")) == (407, 2)
        outsider = stranger.request("MESSAGE", "sip:alice@example.test", sender="<sip:x@evil.test>;tag=1")
        assert (await stranger.ask(outsider)).status == 403


@on_loop
async def test_link_that_has_registered_is_not_challenged_again(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 202


@pytest.mark.parametrize(
    "route",
    wide_after(
        3,
        [
            "<sip:victim.example.net;lr>",
            "<sip:victim.example.net>",
            f"<sip:{FE1};lr>, <sip:victim.example.net;lr>",
            "<sip:127.0.0.1:25;lr>",
            f"<sip:AAAA@{FE2};lr>",
            f"<sip:bob@{BOT};lr>",
        ],
    ),
)
@on_loop
async def test_crafted_route_makes_no_relay_of_us(pool: Network, route: str) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        refused = await alice.ask(alice.request("MESSAGE", "sip:bob@example.test", [("route", route)]))
        assert refused.status == 403
        assert "routing" in (refused.first("warning") or "")
        await bob.silent()


@pytest.mark.parametrize("route", [f"<sip:{FE1};lr>", "<sip:example.test;transport=tls;lr>", f"<sip:{POOL};lr>"])
@on_loop
async def test_route_through_ourselves_is_taken_off(pool: Network, route: str) -> None:
    """Phones with an outbound proxy write one; the server that they mean is the one they are connected to."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        here = f"<sip:127.0.0.1:{pool.address(FE1)[1]};lr>"
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test", [("route", f"{route}, {here}")]))
        came = await bob.request_in("MESSAGE")
        assert not came.count("route")


@pytest.mark.parametrize(
    "uri", ["sip:bob@victim.example.net", f"sip:bob@{FE2}", "sip:example.test", "sip:bob@127.0.0.1"]
)
@on_loop
async def test_request_uri_that_is_no_user_of_ours_leads_nowhere(pool: Network, uri: str) -> None:
    """A server asks the others of its pool for a Contact that looks like the last one."""
    async with pool:
        alice = await pool.phone("alice", FE1)
        assert (await alice.ask(alice.request("MESSAGE", uri))).status == 404


@on_loop
async def test_sips_request_reaches_sips_contacts_only(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        refused = await alice.ask(alice.request("MESSAGE", "sips:bob@example.test"))
        assert refused.status == 480
        assert '380 fe1.example.test "SIPS Not Allowed"' in refused.values("warning")
        await bob.silent()


@on_loop
async def test_sips_contact_takes_sips_and_sip_requests_each_under_its_own_scheme(pool: Network) -> None:
    """Sip and sips of one address are one user; neither scheme turns into the other on the way."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.peer(FE2, "bob")
        bob.contact = bob.contact.replace("sip:", "sips:").replace(";transport=tls", "")
        assert (await bob.register()).status == 200
        for scheme in ("sips", "sip"):
            await alice.send(alice.request("MESSAGE", f"{scheme}:bob@example.test"))
            came = await bob.request_in("MESSAGE")
            assert came.ruri.scheme == scheme
            await bob.reply(came, 200)
            assert (await alice.final()).status == 200
