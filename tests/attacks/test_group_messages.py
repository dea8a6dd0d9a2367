"""Attacks with messages to groups, each with a message that arrives: forged senders, floods, very many members, loops."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from scenarios.test_flows import ticking
from scenarios.test_group_messages import SALES, gets
from server.proxy.events.test_message_storing import say
from sipmesh.server.proxy.events.group_messages import AT_ONCE, MESSAGES_A_MINUTE
from sipmesh.sip.message import Request
from sipmesh.storage.messages import Storing
from support.call_rules import group, rules
from support.network import BOT, FE1, FE2, PARTNER_FE, POOL, POOL2, Network
from support.peer import Peer
from support.running import PATIENCE_S, on_jumping_loop, on_loop, within

ALICE = "<sip:alice@example.test>"


def stored(network: Network) -> int:
    with closing(sqlite3.connect(network.organisations[0].folder / "state" / "messages.db")) as db:
        [count] = db.execute("SELECT count(*) FROM stored_messages").fetchone()
    return int(count)


def as_alice(peer: Peer, *headers: tuple[str, str], sender: str = "") -> Request:
    kind = ("content-type", "text/plain")
    return peer.request("MESSAGE", SALES, [kind, *headers], b"hello", sender=sender or None)


@pytest.mark.parametrize(
    ("sender", "header"),
    [
        (f"{ALICE};tag=1", ("subject", "x")),
        ("", ("p-asserted-identity", ALICE)),
        ("", ("p-preferred-identity", ALICE)),
    ],
    ids=["From", "P-Asserted-Identity", "P-Preferred-Identity"],
)
@on_loop
async def test_no_member_gets_a_message_in_the_name_of_another_user(
    pool: Network, sender: str, header: tuple[str, str]
) -> None:
    """Carol writes as alice: she is refused, or shown as herself."""
    async with pool:
        carol, bob = await pool.phone("carol", FE1), await pool.phone("bob", FE1)
        await group(pool, "sales", "bob")
        answer = await carol.ask(as_alice(carol, header, sender=sender))
        if answer.status == 202:
            came = await gets(bob)
            assert came.first("p-asserted-identity") == "<sip:carol@example.test>"
            assert came.from_.aor == "sip:carol@example.test"
        else:
            assert answer.status == 407  # to prove that carol is alice
            await bob.silent()


@on_loop
async def test_stranger_writes_to_no_group(pool: Network) -> None:
    async with pool:
        nobody, bob = await pool.peer(FE1, "alice"), await pool.phone("bob", FE1)
        await group(pool, "sales", "bob")
        assert (await nobody.ask(as_alice(nobody))).status == 407
        await bob.silent()


@within(3 * PATIENCE_S)  # it stores 2,000 messages
async def test_thousand_members_who_are_away_get_a_message_each_and_the_disk_is_bounded(pool: Network) -> None:
    """The third message of alice is more than one sender may have stored; bob has room."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        many = [f"user{n}" for n in range(998)]
        pool.organisations[0].add_users(*many)
        await group(pool, "sales", *many, "bob", "carol")
        assert await say(alice, b"hello", to=SALES) == 202
        await gets(bob)
        assert await say(alice, b"again", to=SALES) == 202
        await gets(bob, b"again")
        answer = await alice.ask(as_alice(alice))
        assert (answer.status, "Members Missed" in answer.reason) == (480, True)
        assert 1_990 <= stored(pool) <= 2_000
        assert pool.nodes[FE1].events.storing.counts[Storing.SENDER_FULL] <= AT_ONCE  # no further copy is tried
        assert await say(bob, b"mine", to=SALES) == 202


@on_loop
async def test_user_who_floods_a_group_waits_and_another_user_does_not(pool: Network) -> None:
    """FE1 may still hold what waits for bob when FE2 has stored a message of carol: FE2 tries again after a second."""
    async with pool, ticking(pool):
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE2)
        await group(pool, "sales", "bob")
        statuses = []
        for number in range(2 * MESSAGES_A_MINUTE + 1):
            statuses.append(await say(alice, b"%d" % number, to=SALES))
            if statuses[-1] != 202:
                break
            await gets(bob, b"%d" % number)
        assert (statuses[-1], len(statuses) <= 2 * MESSAGES_A_MINUTE + 1) == (503, True)
        assert await say(carol, b"hello", to=SALES) == 202
        await gets(bob)


@on_jumping_loop
async def test_partner_is_one_sender_with_all_its_users(federation: Network) -> None:
    federation.organisations[1].add_users("frank")
    async with federation, ticking(federation):
        erin, frank = await federation.phone("erin", PARTNER_FE), await federation.phone("frank", PARTNER_FE)
        alice, bob = await federation.phone("alice", FE1), await federation.phone("bob", FE1)
        await group(federation, "sales", "bob")
        await rules(federation, "sales", callers={"@partner.test": "allow"})
        for number, sender in enumerate([erin, frank] * (2 * MESSAGES_A_MINUTE)):  # each of two servers counts
            status = await say(sender, b"%d" % number, to=SALES)
            if status != 202:
                break
            await gets(bob, b"%d" % number)
        assert status == 500  # the edge of the partner tells no 503 of others
        assert await say(alice, b"hello", to=SALES) == 202
        await gets(bob)


@on_jumping_loop
async def test_front_end_of_another_pool_sends_to_no_group_by_this_pool(two_pools: Network) -> None:
    """What one server sends to the members is never sent on: no two pools send a message in circles."""
    async with two_pools, ticking(two_pools):
        await group(two_pools, "sales", "alice", "dora", pool=POOL)
        await group(two_pools, "empty", "dora", pool=POOL2)
        alice = await two_pools.phone("alice", FE1)
        front_end = await two_pools.peer(FE1, "dora", "fe3.example.test")
        asserted = ("p-asserted-identity", "<sip:dora@example.test>")
        assert (await front_end.ask(as_alice(front_end, asserted))).status == 480
        await alice.silent()
        dora = await two_pools.phone("dora", "fe3.example.test")
        assert await say(dora, b"hello", to=SALES) == 202
        await gets(alice)


@pytest.mark.parametrize("allowed", [False, True])
@on_loop
async def test_application_writes_to_a_group_in_names_that_a_rule_of_the_group_allows(
    pool: Network, *, allowed: bool
) -> None:
    async with pool:
        bot, bob = await pool.peer(FE1, "bot", BOT), await pool.phone("bob", FE1)
        await group(pool, "sales", "bob")
        if allowed:
            await rules(pool, "sales", callers={"bot@bot.example.test": "allow"})
        answer = await bot.ask(as_alice(bot, sender="<sip:bot@bot.example.test>;tag=1"))
        if allowed:
            assert answer.status == 202
            await gets(bob)
        else:
            assert answer.status == 403
            await bob.silent()


@on_loop
async def test_third_message_at_the_same_time_is_refused_and_none_of_the_others_is_missed(pool: Network) -> None:
    """Of three, most copies would be more than may wait of one sender for the database."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        many = [f"user{n}" for n in range(300)]
        pool.organisations[0].add_users(*many)
        await group(pool, "sales", *many)
        for _ in range(3):
            await alice.send(as_alice(alice))
        assert sorted([(await alice.final()).status for _ in range(3)]) == [202, 202, 503]
        assert pool.nodes[FE1].events.storing.counts == {Storing.STORED: 600}
        assert await say(bob, b"hello", to=SALES) == 202
