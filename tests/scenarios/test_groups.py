"""Groups on running servers, over TLS: who rings and in which order, who is passed over, where other calls go."""

from __future__ import annotations

import asyncio

import pytest

from scenarios.test_call_rules import ALICE, BOB, CAROL, called, comes, history
from scenarios.test_flows import ticking
from sipmesh.sip.message import Request
from support.call_rules import group, rules
from support.network import FE1, FE2, FE3, PARTNER_FE, POOL, POOL2, Network, hung_up_by_the_other, inside, ringing
from support.peer import Peer
from support.running import on_jumping_loop, on_loop

SALES = "sip:sales@example.test"


async def declined(phone: Peer, status: int = 486) -> None:
    await phone.reply(await comes(phone), status)


async def comes_back(caller: Peer) -> Request:
    """Wait for the call at the phone of its own caller, behind the responses to it."""
    found = await caller.receive()
    while not isinstance(found, Request) or found.method == "ACK":
        found = await caller.receive()
    return found


async def rung_out(phone: Peer) -> Request:
    """Ring until the call is cancelled."""
    rings = await comes(phone)
    await phone.reply(rings, 180)
    cancelled = await comes(phone, "CANCEL")
    await phone.reply(cancelled, 200)
    await phone.reply(rings, 487)
    return rings


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_all_members_ring_and_are_shown_which_group_was_called(pool: Network, server: str) -> None:
    async with pool:
        alice, bob, carol = (
            await pool.phone("alice", FE1),
            await pool.phone("bob", FE1),
            await pool.phone("carol", server),
        )
        await group(pool, "sales", "bob", "carol")
        await called(alice, SALES)
        at_bob, at_carol = await comes(bob), await comes(carol)
        for came, member in ((at_bob, BOB), (at_carol, CAROL)):
            assert came.to.aor == SALES
            assert came.items("p-asserted-identity") == [f"<{ALICE}>"]
            assert history(came) == [f"<{SALES}>;index=1", f"<{member};cause=302>;index=1.1;mp=1"]
        await bob.reply(at_bob, 180)
        await carol.reply(at_carol, 200)
        assert (await comes(bob, "CANCEL")).method == "CANCEL"
        assert (await alice.final()).status == 200


@on_loop
async def test_members_ring_in_turn_and_busy_members_and_members_without_a_phone_are_passed_over(pool: Network) -> None:
    async with pool:
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE2)
        await group(pool, "sales", "bob", "alice", "carol", order="in-turn")
        await rules(pool, "alice", do_not_disturb=True)
        await called(alice, SALES)
        await declined(bob)
        await carol.reply(await comes(carol), 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize("status", [302, 486, 600, 603])
@on_loop
async def test_no_member_speaks_for_the_others(pool: Network, status: int) -> None:
    async with pool:
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE1)
        await group(pool, "sales", "bob", "carol", order="in-turn")
        await called(alice, SALES)
        await declined(bob, status)
        await declined(carol, status)
        assert (await alice.final()).status == 486


@on_loop
async def test_rules_of_a_member_lead_no_call_of_the_group_elsewhere(pool: Network) -> None:
    """The mailbox of one member would take the call from all others."""
    async with pool:
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE1)
        await group(pool, "sales", "bob")
        await rules(pool, "bob", always="carol")
        await called(alice, SALES)
        await declined(bob)
        assert (await alice.final()).status == 486
        await carol.silent()
        await called(alice, BOB)
        await comes(carol)


@on_jumping_loop
async def test_unanswered_call_goes_to_the_next_member_and_at_last_to_the_overflow(pool: Network) -> None:
    async with pool, ticking(pool):
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE2), await pool.phone("carol", FE1)
        loop = asyncio.get_running_loop()
        await group(pool, "sales", "bob", "carol", order="in-turn", ring_s=17, member_s=10, no_answer="alice")
        began = loop.time()
        await called(alice, SALES)
        await rung_out(bob)
        assert 10 <= loop.time() - began < 13
        await rung_out(carol)
        assert 17 <= loop.time() - began < 21
        came = await comes_back(alice)
        assert history(came)[-1] == f"<{ALICE};cause=408>;index=1.1;mp=1"
        await alice.reply(came, 486)


@on_loop
async def test_longest_idle_member_rings_first(pool: Network) -> None:
    async with pool:
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE1)
        await group(pool, "sales", "bob", "carol", order="longest-idle")
        for first in (bob, carol, bob):
            await called(alice, SALES)
            await first.reply(await comes(first), 200)
            assert (await alice.final()).status == 200


@pytest.mark.parametrize(("members", "status"), [(("bob",), 480), (("carol",), 486), ((), 480)])
@on_loop
async def test_call_of_a_group_without_a_free_member_goes_to_the_overflow_or_ends(
    pool: Network, members: tuple[str, ...], status: int
) -> None:
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE2)
        await group(pool, "sales", *members)
        await group(pool, "other", *members, busy="alice", away="alice")
        await called(alice, SALES)
        if members == ("carol",):
            await declined(carol)
        assert (await alice.final()).status == status
        await called(alice, "sip:other@example.test")
        if members == ("carol",):
            await declined(carol)
        cause = 486 if status == 486 else 503
        assert history(await comes_back(alice))[-1] == f"<{ALICE};cause={cause}>;index=1.1;mp=1"


@on_loop
async def test_groups_that_overflow_to_each_other_end_the_call(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        await group(pool, "sales", "carol")
        await group(pool, "help", "carol", away="sales")
        await rules(pool, "sales", away="help")
        await called(alice, SALES)
        assert (await alice.final()).status == 482
        await rules(pool, "sales", away="bob")
        await called(alice, SALES)
        await comes(bob)


@on_loop
async def test_user_who_forwards_to_the_own_group_rings_no_more_than_once(pool: Network) -> None:
    async with pool:
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE1)
        await group(pool, "sales", "bob", "carol", order="in-turn")
        await rules(pool, "bob", always="sales")
        await called(alice, BOB)
        came = await comes(carol)
        assert [item.partition(">")[0][1:] for item in history(came)] == [
            BOB,
            f"{SALES};cause=302",
            f"{CAROL};cause=302",
        ]
        await carol.reply(came, 200)
        assert (await alice.final()).status == 200
        await bob.silent()


# Other pools and partners: alice is at home in the first pool; bob and dora in the second.


@pytest.mark.parametrize("home", [POOL, POOL2])
@pytest.mark.parametrize(("caller", "server"), [("carol", FE1), ("dora", FE3)])
@on_loop
async def test_members_of_all_pools_ring_for_callers_of_all_pools(
    two_pools: Network, home: str, caller: str, server: str
) -> None:
    async with two_pools:
        one = await two_pools.agent(caller, server)
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.agent("bob", FE3)
        await group(two_pools, "sales", "alice", "bob", order="in-turn", pool=home)
        await rules(two_pools, "alice", always="carol", busy="carol")
        calling = asyncio.create_task(one.call(SALES))
        came = await comes(alice)
        assert history(came)[-1] == f"<{ALICE};cause=302>;index=1.1;mp=1"
        await alice.reply(came, 486)
        rang = await ringing(bob)
        made = await calling
        assert (await made.answered()).status == 200
        assert (await inside(rang, "INVITE")).status == 200
        assert await hung_up_by_the_other(rang, made)


@on_loop
async def test_user_of_another_pool_forwards_to_a_group(two_pools: Network) -> None:
    async with two_pools:
        carol, alice = await two_pools.phone("carol", FE1), await two_pools.phone("alice", FE1)
        await group(two_pools, "sales", "alice", "bob", pool=POOL2)
        await rules(two_pools, "bob", always="sales")
        await called(carol, BOB)
        came = await comes(alice)
        assert len(history(came)) == 3
        await alice.reply(came, 200)
        assert (await carol.final()).status == 200


@on_loop
async def test_partner_calls_a_group_and_members_of_both_pools_ring(federated_pools: Network) -> None:
    async with federated_pools:
        erin = await federated_pools.agent("erin", PARTNER_FE)
        alice, bob = await federated_pools.phone("alice", FE1), await federated_pools.agent("bob", FE3)
        await group(federated_pools, "sales", "alice", "bob", order="in-turn", pool=POOL2)
        calling = asyncio.create_task(erin.call(SALES))
        came = await comes(alice)
        assert came.items("p-asserted-identity") == ["<sip:erin@partner.test>"]
        await alice.reply(came, 603)
        rang = await ringing(bob)
        made = await calling
        assert (await made.answered()).status == 200
        assert await hung_up_by_the_other(made, rang)
