"""Attacks on groups, each with a case that passes: logins, very many members, withheld names."""

from __future__ import annotations

import pytest

from scenarios.test_call_rules import called, comes, history
from scenarios.test_groups import SALES, declined
from sipmesh.routing.call_rules.group_steps import MOST_AT_ONCE, MOST_TRIED
from support.call_rules import group, rules
from support.network import FE1, FE2, FE3, FE4, PARTNER_FE, POOL, POOL2, Network
from support.running import on_loop


@on_loop
async def test_group_of_a_thousand_members_who_are_away_or_busy_ends_with_few_branches(pool: Network) -> None:
    """Those without a phone cost no branch, and one of them who is there answers."""
    async with pool:
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE2)
        many = [f"user{n}" for n in range(998)]
        pool.organisations[0].add_users(*many)
        await group(pool, "sales", *many, "bob", "carol")
        sent = pool.nodes[FE1].relay.load
        await called(alice, SALES)
        at_bob = await comes(bob)
        assert pool.nodes[FE1].relay.load - sent <= MOST_AT_ONCE + MOST_TRIED
        await bob.reply(at_bob, 486)
        await carol.reply(await comes(carol), 200)
        assert (await alice.final()).status == 200
        await group(pool, "empty", *many)
        await called(alice, "sip:empty@example.test")
        assert (await alice.final()).status == 480


@on_loop
async def test_no_phone_registers_as_a_group(pool: Network) -> None:
    async with pool:
        await group(pool, "sales", "alice")
        thief = await pool.phone("alice", FE1)
        await thief.send(thief.request("REGISTER", SALES, [("contact", thief.contact)]))
        assert (await thief.final()).status in {401, 403}
        await pool.phone("bob", FE1)


@on_loop
async def test_partner_who_is_blocked_reaches_no_member_and_others_do(federated_pools: Network) -> None:
    async with federated_pools:
        erin, alice = await federated_pools.phone("erin", PARTNER_FE), await federated_pools.phone("alice", FE1)
        carol = await federated_pools.phone("carol", FE1)
        await group(federated_pools, "sales", "alice", pool=POOL)
        await rules(federated_pools, "sales", callers={"@partner.test": "block"})
        await called(erin, SALES)
        assert (await erin.final()).status == 603
        await called(carol, SALES)
        await declined(alice)
        assert (await carol.final()).status == 486
        await rules(federated_pools, "sales", callers={"@partner.test": "none"})
        await rules(federated_pools, "alice", callers={"@partner.test": "block"})
        await called(erin, SALES)
        assert (await erin.final()).status == 486


@pytest.mark.parametrize(("header", "shown"), [(("privacy", "id"), 0), (("subject", "hello"), 2)])
@on_loop
async def test_history_of_a_group_is_not_shown_for_a_caller_who_withholds_its_name(
    pool: Network, header: tuple[str, str], shown: int
) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        await group(pool, "sales", "bob")
        await called(alice, SALES, header)
        came = await comes(bob)
        assert (len(history(came)), came.has("p-asserted-identity")) == (shown, bool(shown))


@pytest.mark.parametrize("members", [("bob", "alice"), ("alice",)])
@on_loop
async def test_call_rings_on_if_the_home_pool_of_the_group_stops(two_pools: Network, members: tuple[str, ...]) -> None:
    """Bob and the group are at home in the second pool. All servers know the group, and the next member rings."""
    async with two_pools:
        carol, alice, bob = [await two_pools.phone(*who) for who in (("carol", FE1), ("alice", FE1), ("bob", FE3))]
        await group(two_pools, "sales", *members, order="in-turn", pool=POOL2)
        await called(carol, SALES)
        ringing = await comes(bob if "bob" in members else alice)
        await (bob if "bob" in members else alice).reply(ringing, 180)
        for server in (FE4, FE3):
            await two_pools.stop(server)
        if "bob" in members:
            ringing = await comes(alice)
        await alice.reply(ringing, 200)
        assert (await carol.final()).status == 200
