"""Attacks on the rules of calls, each with a case that passes: blocked callers, withheld names, redirections, lost servers."""

from __future__ import annotations

import pytest

from scenarios.test_call_rules import called, comes, history
from sipmesh.storage.users.user_database import Users
from support.call_rules import rules
from support.network import FE1, FE2, FE3, FE4, PARTNER_FE, Network
from support.running import on_loop

BOB, ERIN = "sip:bob@example.test", "sip:erin@partner.test"


@pytest.mark.parametrize("key", ["erin@partner.test", "@partner.test"])
@pytest.mark.parametrize("headers", [(), (("privacy", "id"),)], ids=["shown", "withheld"])
@on_loop
async def test_partner_who_is_blocked_is_declined_and_our_users_ring(
    federated_pools: Network, key: str, headers: tuple[tuple[str, str], ...]
) -> None:
    async with federated_pools:
        erin, bob = await federated_pools.phone("erin", PARTNER_FE), await federated_pools.phone("bob", FE1)
        alice = await federated_pools.phone("alice", FE1)
        await rules(federated_pools, "bob", callers={key: "block"})
        await called(erin, BOB, *headers)
        assert (await erin.final()).status == 603
        await called(alice, BOB, *headers)
        await comes(bob)


@on_loop
async def test_forwarded_call_of_a_caller_who_withholds_its_name_shows_no_history(pool: Network) -> None:
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE2)
        await rules(pool, "bob", always="carol")
        await called(alice, BOB, ("privacy", "id"))
        came = await comes(carol)
        assert (history(came), came.has("p-asserted-identity")) == ([], False)
        await carol.reply(came, 486)
        await alice.final()
        await called(alice)
        assert len(history(await comes(carol))) == 2


@on_loop
async def test_redirection_of_a_partner_is_not_followed(federated_pools: Network) -> None:
    """It would be at the cost of the caller, or of a user whom the partner names. The caller may follow it."""
    async with federated_pools:
        erin, alice = await federated_pools.phone("erin", PARTNER_FE), await federated_pools.phone("alice", FE1)
        bob = await federated_pools.phone("bob", FE1)
        erin.contact = f"<{BOB}>"
        await called(alice, ERIN)
        await erin.reply(await comes(erin), 302, [("diversion", "<sip:carol@example.test>;reason=away")])
        assert (await alice.final()).status in {302, 403}
        await bob.silent()


@on_loop
async def test_loop_over_two_organisations_ends_the_call(federated_pools: Network) -> None:
    """Each of two users forwards to the other. No partner may show our user as its caller, so no call comes back."""
    async with federated_pools:
        alice, erin = await federated_pools.phone("alice", FE1), await federated_pools.phone("erin", PARTNER_FE)
        await rules(federated_pools, "bob", always="erin@partner.test")
        await rules(federated_pools, "erin@partner.test", always="bob@example.test")
        for caller, aor in ((alice, BOB), (alice, ERIN), (erin, BOB)):
            await called(caller, aor)
            assert (await caller.final()).status == 403, aor
        await rules(federated_pools, "erin@partner.test", always="none")
        await called(alice)
        came = await comes(erin)
        assert came.from_.aor == "sip:alice@example.test"
        await erin.reply(came, 486)
        assert (await alice.final()).status == 486


@pytest.mark.parametrize(("headers", "shown"), [((), 1), ((("privacy", "id"),), 0)], ids=["shown", "withheld"])
@on_loop
async def test_partner_is_shown_no_forwarding_user_for_a_caller_who_withholds_its_name(
    federated_pools: Network, headers: tuple[tuple[str, str], ...], shown: int
) -> None:
    async with federated_pools:
        alice, erin = await federated_pools.phone("alice", FE1), await federated_pools.phone("erin", PARTNER_FE)
        await rules(federated_pools, "bob", always="erin@partner.test")
        await called(alice, BOB, *headers)
        came = await comes(erin)
        assert len(history(came)) == shown


@on_loop
async def test_call_ends_for_its_caller_if_the_home_pool_of_the_callee_stops_in_the_ring(two_pools: Network) -> None:
    async with two_pools:
        carol, bob = await two_pools.phone("carol", FE1), await two_pools.phone("bob", FE3)
        await rules(two_pools, "bob", ring_s=180, no_answer="alice")
        await called(carol)
        await bob.reply(await comes(bob), 180)
        for server in (FE4, FE3):
            await two_pools.stop(server)
        assert (await carol.final()).status in {480, 500, 503}


@pytest.mark.parametrize("name", ["chief", "+493012345"])
@on_loop
async def test_blocked_caller_is_declined_under_an_alias_too(pool: Network, name: str) -> None:
    users = Users(pool.organisations[0].load().users_url)
    users.add_alias("alice@example.test", name)
    users.close()
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        await rules(pool, "bob", callers={"alice": "block"})
        sender = f"<sip:{name}@example.test>;tag={alice.tag}"
        await alice.send(alice.request("INVITE", BOB, sender=sender))
        assert (await alice.final()).status == 603
        await rules(pool, "bob", callers={"alice": "none"})
        await alice.send(alice.request("INVITE", BOB, sender=sender))
        await comes(bob)
