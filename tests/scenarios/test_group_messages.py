"""A message to a group reaches each member once: at home in any pool, there or away, with its proved sender."""

from __future__ import annotations

import asyncio

import pytest

from scenarios.test_flows import ticking
from server.proxy.events.test_message_storing import say
from sipmesh.sip.message import Request
from support.call_rules import group, refreshed, rules
from support.network import FE1, FE2, FE3, FE4, PARTNER_FE, POOL, POOL2, Network
from support.peer import Peer
from support.running import on_jumping_loop

SALES = "sip:sales@example.test"
ASSERTED = "<sip:alice@example.test>"


async def gets(peer: Peer, text: bytes = b"hello", status: int = 200) -> Request:
    """Wait for a text, and answer it."""
    came = await peer.request_in("MESSAGE")
    assert (came.body, came.to.uri) == (text, SALES)
    await peer.reply(came, status)
    return came


async def silent(*peers: Peer) -> None:
    await asyncio.gather(*(peer.silent() for peer in peers))


@pytest.mark.parametrize("server", [FE1, FE2])
@on_jumping_loop
async def test_each_member_gets_it_once_also_who_was_away(pool: Network, server: str) -> None:
    """The sender is a member, and does not get it back."""
    async with pool, ticking(pool):
        alice, bob = await pool.phone("alice", server), await pool.phone("bob", FE1)
        await group(pool, "sales", "alice", "bob", "carol")
        assert await say(alice, b"hello", to=SALES) == 202
        came = await gets(bob)
        assert (came.from_.aor, came.first("p-asserted-identity")) == ("sip:alice@example.test", ASSERTED)
        carol = await pool.phone("carol", FE2)
        assert (await gets(carol)).first("p-asserted-identity") == ASSERTED
        await silent(alice, bob, carol)


@pytest.mark.parametrize("home", [POOL, POOL2])
@pytest.mark.parametrize(("user", "server"), [("alice", FE1), ("dora", FE3)])
@on_jumping_loop
async def test_members_of_other_pools_get_it_by_their_own_pool(
    two_pools: Network, home: str, user: str, server: str
) -> None:
    """Whichever pool the group and the sender are of. Bob, of the second pool, is away."""
    async with two_pools, ticking(two_pools):
        sender = await two_pools.phone(user, server)
        there = {name: await two_pools.phone(name, at) for name, at in (("alice", FE2), ("dora", FE4)) if name != user}
        await group(two_pools, "sales", "alice", "dora", "bob", pool=home)
        assert await say(sender, b"hello", to=SALES) == 202
        for phone in there.values():
            assert (await gets(phone)).first("p-asserted-identity") == f"<sip:{user}@example.test>"
        bob = await two_pools.phone("bob", FE3)
        assert (await gets(bob)).first("p-asserted-identity") == f"<sip:{user}@example.test>"
        await silent(sender, bob, *there.values())


@on_jumping_loop
async def test_partner_writes_to_a_group_only_if_a_rule_of_the_group_says_so(federation: Network) -> None:
    async with federation, ticking(federation):
        erin, bob = await federation.phone("erin", PARTNER_FE), await federation.phone("bob", FE1)
        await group(federation, "sales", "bob")
        assert await say(erin, b"hello", to=SALES) == 403
        await bob.silent()
        await rules(federation, "sales", callers={"erin@partner.test": "allow"})
        assert await say(erin, b"hello", to=SALES) == 202
        assert (await gets(bob)).from_.aor == "sip:erin@partner.test"


@on_jumping_loop
async def test_user_whom_a_rule_of_the_group_blocks_is_declined(pool: Network) -> None:
    async with pool, ticking(pool):
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE2)
        await group(pool, "sales", "bob")
        await rules(pool, "sales", callers={"alice": "block"})
        assert await say(alice, b"hello", to=SALES) == 603
        assert await say(carol, b"hello", to=SALES) == 202
        assert (await gets(bob)).from_.aor == "sip:carol@example.test"


@pytest.mark.parametrize("kind", ["application/im-iscomposing+xml", "message/imdn+xml"])
@on_jumping_loop
async def test_typing_and_receipts_are_for_no_group(pool: Network, kind: str) -> None:
    async with pool, ticking(pool):
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        await group(pool, "sales", "bob")
        assert (await alice.ask(alice.request("MESSAGE", SALES, [("content-type", kind)], b"<a/>"))).status == 480
        await bob.silent()
        assert await say(alice, b"hello", to=SALES) == 202
        await gets(bob)


@on_jumping_loop
async def test_sender_learns_that_a_pool_does_not_answer(two_pools: Network) -> None:
    """The members of other pools have the message."""
    async with two_pools, ticking(two_pools):
        alice, carol = await two_pools.phone("alice", FE1), await two_pools.phone("carol", FE2)
        await group(two_pools, "sales", "bob", "carol", pool=POOL)
        for server in (FE3, FE4):
            await two_pools.stop(server)
        answer = await alice.ask(alice.request("MESSAGE", SALES, [("content-type", "text/plain")], b"hello"))
        assert (answer.status, answer.reason) == (480, "1 Of 2 Members Missed")
        await gets(carol)


@on_jumping_loop
async def test_member_who_leaves_gets_no_later_message(pool: Network) -> None:
    async with pool, ticking(pool):
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        await group(pool, "sales", "bob", "carol")
        await rules(pool, "sales", leave=["bob"])
        assert await say(alice, b"hello", to=SALES) == 202
        await bob.silent()
        await gets(await pool.phone("carol", FE2))


@on_jumping_loop
async def test_group_without_other_members_and_messages_that_are_not_stored_are_refused(pool: Network) -> None:
    pool.organisations[0].document["messages"] = {"per_user": 0}
    async with pool, ticking(pool):
        alice = await pool.phone("alice", FE1)
        await group(pool, "sales", "alice")
        await refreshed(pool)
        assert await say(alice, b"hello", to=SALES) == 480
