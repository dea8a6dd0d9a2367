"""Delegates on running servers, over TLS: who calls for whom, and what others are shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scenarios.test_call_rules import ALICE, BOB, CAROL, called, comes
from scenarios.test_presence_rules import accepted, notify_of, rule
from server.proxy.events.test_notifier import subscribe, told
from sipmesh.client.dialog import Dialog
from sipmesh.sip.message import Response
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.watching import Watching
from support.call_rules import refreshed, rules
from support.network import FE1, FE2, FE3, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of

DORA = "sip:dora@example.test"
FOR_BOB = ("p-preferred-identity", f"<{BOB}>")


async def is_for_bob(phone: Peer, delegate: str = "alice") -> None:
    """A call is shown as of both: the server asserts bob, and From is the delegate."""
    came = await comes(phone)
    assert came.items("p-asserted-identity") == [f"<{BOB}>"]
    assert (came.first("from") or "").startswith(f'"{delegate} for bob" <sip:{delegate}@example.test>;tag=')
    assert not came.has("p-preferred-identity")
    await phone.reply(came, 486)


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_delegate_calls_for_a_user_who_has_said_so(pool: Network, server: str) -> None:
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", server)
        await called(alice, CAROL, FOR_BOB)
        assert (await alice.final()).status == 403
        await rules(pool, "bob", delegates=("alice",))
        await called(alice, CAROL, FOR_BOB)
        await is_for_bob(carol)
        final = await alice.final()
        assert (final.status, (final.first("from") or "").startswith("<sip:alice@")) == (486, True)
        await called(alice, CAROL)
        assert (await comes(carol)).items("p-asserted-identity") == [f"<{ALICE}>"]


# alice is at home in the first pool; bob and dora in the second.


@on_loop
async def test_other_pools_believe_the_home_pool_of_the_delegate(two_pools: Network) -> None:
    async with two_pools:
        alice, dora = await two_pools.phone("alice", FE1), await two_pools.phone("dora", FE3)
        await called(alice, DORA, FOR_BOB)
        assert (await alice.final()).status == 403
        await rules(two_pools, "bob", delegates=("alice",))
        await called(alice, DORA, FOR_BOB)
        await is_for_bob(dora)
        assert (await alice.final()).status == 486


@on_loop
async def test_delegate_who_is_removed_in_a_call_keeps_the_call_and_makes_no_other(two_pools: Network) -> None:
    async with two_pools:
        alice, dora = await two_pools.phone("alice", FE1), await two_pools.phone("dora", FE3)
        await rules(two_pools, "bob", delegates=("alice",))
        invite = alice.request("INVITE", DORA, [FOR_BOB])
        await alice.send(invite)
        came = await comes(dora)
        await dora.reply(came, 200)
        made, taken = Dialog.of_caller(invite, await alice.final()), Dialog.of_callee(came, dora.tag)
        await alice.send(inside_of(made, alice, "ACK"))
        assert (await dora.request_in("ACK")).method == "ACK"
        await rules(two_pools, "bob", delegates=("none",))
        for dialog, one, other in ((made, alice, dora), (taken, dora, alice)):
            await one.send(inside_of(dialog, one, "INFO"))
            await other.reply(await other.request_in("INFO"), 200)
            assert (await one.final()).status == 200
        await called(alice, DORA, FOR_BOB)
        assert (await alice.final()).status == 403


@on_loop
async def test_no_delegate_calls_for_a_user_who_is_disabled(two_pools: Network) -> None:
    """Bob is at home in the other pool. Who is enabled again has the delegates from before."""
    async with two_pools:
        alice, dora = await two_pools.phone("alice", FE1), await two_pools.phone("dora", FE3)
        users = Users(two_pools.organisations[0].load().users_url)
        await rules(two_pools, "bob", delegates=("alice",))
        users.disable("bob@example.test", datetime.now(UTC))
        await refreshed(two_pools)
        await called(alice, DORA, FOR_BOB)
        assert (await alice.final()).status == 403
        await dora.silent()
        users.enable("bob@example.test")
        users.close()
        await refreshed(two_pools)
        await called(alice, DORA, FOR_BOB)
        await is_for_bob(dora)


@on_loop
async def test_blocked_user_is_blocked_as_a_delegate_too(pool: Network) -> None:
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE1)
        await rules(pool, "bob", delegates=("alice",))
        await rules(pool, "carol", callers={"alice": "block"})
        await called(alice, CAROL, FOR_BOB)
        assert (await alice.final()).status == 603
        await rules(pool, "carol", callers={"alice": "none", "bob": "block"})
        await called(alice, CAROL, FOR_BOB)
        assert (await alice.final()).status == 603
        await rules(pool, "carol", callers={"bob": "none"})
        await called(alice, CAROL, FOR_BOB)
        await is_for_bob(carol)


@on_loop
async def test_partner_is_shown_the_delegate_and_calls_for_none_of_our_users(federated_pools: Network) -> None:
    async with federated_pools:
        alice, erin = await federated_pools.phone("alice", FE1), await federated_pools.phone("erin", PARTNER_FE)
        await rules(federated_pools, "bob", delegates=("alice",))
        await called(alice, "sip:erin@partner.test", FOR_BOB)
        came = await comes(erin)
        assert came.from_.aor == ALICE
        assert BOB.encode() not in b"".join(came.lines)
        await erin.reply(came, 486)
        await alice.final()
        await called(erin, ALICE, FOR_BOB)
        shown = await comes(alice)
        assert shown.items("p-asserted-identity") == ["<sip:erin@partner.test>"]
        assert shown.from_.aor == "sip:erin@partner.test"


@on_loop
async def test_delegate_picks_up_a_call_that_rings_at_the_user_and_no_other_user_does(two_pools: Network) -> None:
    """RFC 4235 and 3891: the phone of bob tells alice which call rings. She takes it from the caller, in the name of bob.

    Carol, who is no delegate, learns of no call, and is not believed to speak for bob.
    """
    async with two_pools:
        alice, carol = await two_pools.phone("alice", FE1), await two_pools.phone("carol", FE1)
        bob, dora = await two_pools.phone("bob", FE3), await two_pools.phone("dora", FE3)
        assert (await alice.ask(subscribe(alice, BOB, "dialog"))).status == 403
        await rules(two_pools, "bob", delegates=("alice",))
        assert (await carol.ask(subscribe(carol, BOB, "dialog"))).status == 403
        assert (await alice.ask(subscribe(alice, BOB, "conference"))).status == 403
        asked = await accepted(alice, subscribe(alice, BOB, "dialog"), bob)
        await called(dora)
        rings = await comes(bob)
        await bob.reply(rings, 180)
        while not isinstance(heard := await dora.receive(), Response) or heard.status != 180:
            pass
        await bob.send(notify_of(asked, bob))
        await told(alice)
        assert (await bob.final()).status == 200
        early = f"{rings.call_id};to-tag={dora.tag};from-tag={bob.tag};early-only"
        await called(carol, DORA, FOR_BOB, ("replaces", early))
        assert (await carol.final()).status == 403
        await called(alice, DORA, FOR_BOB, ("replaces", early))
        taken = await comes(dora)
        assert (taken.values("replaces"), taken.items("p-asserted-identity")) == ([early], [f"<{BOB}>"])
        assert (taken.first("from") or "").startswith('"alice for bob" <sip:alice@example.test>')
        await dora.reply(taken, 200)
        assert (await alice.final()).status == 200
        await rules(two_pools, "bob", delegates=("none",))
        assert (await bob.ask(notify_of(asked, bob))).status == 481
        assert (await alice.ask(subscribe(alice, BOB, "dialog"))).status == 403


@on_loop
async def test_rule_about_a_watcher_counts_before_it_is_a_delegate(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        await rules(pool, "bob", delegates=("alice",))
        await accepted(alice, subscribe(alice, BOB, "dialog"), bob)
        await rule(pool, "alice", Watching.BLOCK)
        assert (await alice.ask(subscribe(alice, BOB, "dialog"))).status == 403
