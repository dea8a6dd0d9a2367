"""The rules of a user's calls on running servers, over TLS: within a pool, to another pool, and to a partner."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from scenarios.test_failures import AT_ONCE_S
from scenarios.test_flows import ticking
from sipmesh.sip.message import Request, Response
from support.call_rules import change_rules, rules
from support.network import FE1, FE2, FE3, FE4, PARTNER_FE, Network, hung_up_by_the_other, inside, ringing
from support.peer import Peer
from support.process import serving
from support.running import on_jumping_loop, on_loop

ALICE, BOB, CAROL = "sip:alice@example.test", "sip:bob@example.test", "sip:carol@example.test"


async def called(caller: Peer, aor: str = BOB, *headers: tuple[str, str]) -> None:
    await caller.send(caller.request("INVITE", aor, headers))


async def comes(phone: Peer, method: str = "INVITE") -> Request:
    """Wait for a request; the ACK of a refusal before it needs nothing."""
    found = await phone.receive()
    while isinstance(found, Request) and found.method == "ACK":
        found = await phone.receive()
    assert isinstance(found, Request), found
    assert found.method == method, found
    return found


async def heard(caller: Peer) -> list[Response]:
    """The responses that the caller gets, up to the final one."""
    seen: list[Response] = []
    while not seen or seen[-1].status < 200:
        found = await caller.receive()
        if isinstance(found, Response):
            seen.append(found)
    return seen


def history(invite: Request) -> list[str]:
    return invite.items("history-info")


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_call_that_is_always_forwarded_says_who_was_called_and_why(pool: Network, server: str) -> None:
    async with pool:
        alice, bob, carol = (
            await pool.phone("alice", FE1),
            await pool.phone("bob", FE1),
            await pool.phone("carol", server),
        )
        await rules(pool, "bob", always="carol")
        await called(alice)
        came = await comes(carol)
        assert came.to.aor == BOB
        assert came.items("p-asserted-identity") == [f"<{ALICE}>"]
        assert history(came) == [f"<{BOB}>;index=1", f"<{CAROL};cause=302>;index=1.1;mp=1"]
        await carol.reply(came, 200)
        assert (await alice.final()).status == 200
        await bob.silent()
        await rules(pool, "bob", always="none")
        await called(alice)
        assert history(await comes(bob)) == []


@pytest.mark.parametrize("status", [486, 600, 603])
@on_loop
async def test_busy_user_is_called_at_the_target_of_the_rule(pool: Network, status: int) -> None:
    async with pool:
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE2), await pool.phone("carol", FE1)
        await called(alice)
        await bob.reply(await comes(bob), status)
        assert (await alice.final()).status == status
        await rules(pool, "bob", busy="carol")
        await called(alice)
        await bob.reply(await comes(bob), status)
        came = await comes(carol)
        assert history(came)[-1] == f"<{CAROL};cause=486>;index=1.1;mp=1"
        await carol.reply(came, 200)
        assert (await alice.final()).status == 200


@pytest.mark.parametrize("server", [FE1, FE2])
@on_jumping_loop
async def test_phones_ring_for_as_long_as_the_rule_says(pool: Network, server: str) -> None:
    """Without a target, the caller gets 480 then, and not after 185 s."""
    async with pool, ticking(pool):
        alice, bob, carol = (
            await pool.phone("alice", FE1),
            await pool.phone("bob", server),
            await pool.phone("carol", FE1),
        )
        loop = asyncio.get_running_loop()
        for target in ("none", "carol"):
            await rules(pool, "bob", ring_s=12, no_answer=target)
            began = loop.time()
            await called(alice)
            rings = await comes(bob)
            await bob.reply(rings, 180)
            cancelled = await comes(bob, "CANCEL")
            assert 12 <= loop.time() - began < 14
            assert "cause=408" in (cancelled.first("reason") or "")
            await bob.reply(cancelled, 200)
            await bob.reply(rings, 487)
            if target == "carol":
                came = await comes(carol)
                assert history(came)[-1] == f"<{CAROL};cause=408>;index=1.1;mp=1"
                await carol.reply(came, 200)
            assert (await alice.final()).status == (480 if target == "none" else 200)


@on_jumping_loop
async def test_phone_that_answers_when_its_ring_ends_has_the_call(pool: Network) -> None:
    """The CANCEL and its 200 have crossed: the phone at which the call rings next is cancelled."""
    async with pool, ticking(pool):
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE1)
        await rules(pool, "bob", ring_s=10, no_answer="carol")
        await called(alice)
        rings = await comes(bob)
        await bob.reply(rings, 180)
        await comes(bob, "CANCEL")
        await carol.reply(await comes(carol), 180)
        await bob.reply(rings, 200)
        assert (await alice.final()).status == 200
        assert (await comes(carol, "CANCEL")).method == "CANCEL"


@on_loop
async def test_call_of_a_user_without_a_phone_goes_where_the_rule_says(pool: Network) -> None:
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE2)
        await called(alice)
        assert (await alice.final()).status == 480
        await rules(pool, "bob", away="carol")
        await called(alice)
        came = await comes(carol)
        assert history(came)[-1] == f"<{CAROL};cause=503>;index=1.1;mp=1"
        await carol.reply(came, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_user_who_does_not_want_to_be_disturbed_is_busy_but_for_allowed_callers(pool: Network) -> None:
    async with pool:
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE1)
        await rules(pool, "bob", do_not_disturb=True, callers={"carol": "allow"})
        await called(alice)
        assert (await alice.final()).status == 486
        await called(carol)
        await comes(bob)


@pytest.mark.parametrize("key", ["alice", "@example.test", "*"])
@on_loop
async def test_blocked_caller_is_declined_under_each_name_and_others_ring(pool: Network, key: str) -> None:
    """Also with an anonymous From, and at the GRUU of a device."""
    device = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"'
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE2)
        bob = await pool.peer(FE1, "bob")
        bob.contact = f"{bob.contact};{device}"
        assert (await bob.register((("supported", "gruu"),))).status == 200
        await rules(pool, "bob", callers={key: "block", "carol": "allow"})
        gruu = f"{BOB};gr=urn:uuid:00000000-0000-1000-8000-000a95a0e128"
        for aor, headers in ((BOB, ()), (BOB, (("privacy", "id"),)), (gruu, ())):
            await called(alice, aor, *headers)
            assert (await alice.final()).status == 603
        await called(carol)
        await bob.reply(await comes(bob), 486)
        assert (await carol.final()).status == 486


@on_loop
async def test_further_users_ring_at_the_same_time_and_one_answers(pool: Network) -> None:
    async with pool:
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE2)
        await rules(pool, "bob", also=["carol"])
        await called(alice)
        at_bob, at_carol = await comes(bob), await comes(carol)
        assert (history(at_bob), history(at_carol)[-1]) == ([], f"<{CAROL};cause=302>;index=1.1;mp=1;beside")
        await bob.reply(at_bob, 180)
        await carol.reply(at_carol, 200)
        assert (await alice.final()).status == 200
        assert (await comes(bob, "CANCEL")).method == "CANCEL"


@on_loop
async def test_users_ring_who_are_beside_a_user_without_a_phone(pool: Network) -> None:
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE2)
        await rules(pool, "bob", also=["carol"])
        await called(alice)
        await carol.reply(await comes(carol), 486)
        assert (await alice.final()).status == 486


@on_loop
async def test_loop_of_three_users_ends_the_call(pool: Network) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        for user, target in (("bob", "carol"), ("carol", "alice"), ("alice", "bob")):
            await rules(pool, user, always=target)
        await called(alice)
        assert (await alice.final()).status == 482
        await rules(pool, "alice", always="none")
        again = await pool.phone("alice", FE2)
        await called(alice)
        came = await comes(again)
        assert [item.partition(";index=")[2] for item in history(came)] == ["1", "1.1;mp=1", "1.1.1;mp=1.1"]


@on_loop
async def test_phone_that_redirects_forwards_with_the_rights_of_its_user(pool: Network) -> None:
    async with pool:
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE2), await pool.phone("carol", FE1)
        await called(alice)
        bob.contact = f"<{CAROL}>"
        await bob.reply(await comes(bob), 302)
        came = await comes(carol)
        assert history(came) == [f"<{BOB}>;index=1", f"<{CAROL};cause=480>;index=1.1;mp=1"]
        await carol.reply(came, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_call_is_taken_back_while_it_rings_at_its_next_target(pool: Network) -> None:
    async with pool:
        alice, bob, carol = await pool.phone("alice", FE1), await pool.phone("bob", FE1), await pool.phone("carol", FE2)
        await rules(pool, "bob", busy="carol")
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        await bob.reply(await comes(bob), 486)
        came = await comes(carol)
        await carol.reply(came, 180)
        cancel = alice.request("CANCEL", BOB)
        cancel = type(invite)("CANCEL", BOB, [row for row in invite.rows if row.name != "cseq"])
        cancel.append("cseq", f"{invite.cseq.number} CANCEL")
        await alice.send(cancel)
        await carol.reply(await comes(carol, "CANCEL"), 200)
        await carol.reply(came, 487)
        assert (await alice.final(method="INVITE")).status == 487


# In a dialog


@on_loop
async def test_both_sides_of_a_forwarded_call_speak_in_it_and_end_it(pool: Network) -> None:
    async with pool:
        alice, carol = await pool.agent("alice", FE1), await pool.agent("carol", FE2)
        await rules(pool, "bob", always="carol")
        for end in (True, False):
            made = await alice.call(BOB)
            rang = await ringing(carol)
            assert (await made.answered()).status == 200
            for call in (made, rang):
                for method in ("INVITE", "UPDATE", "INFO"):
                    assert (await inside(call, method)).status == 200, (call, method)
            first, second = (made, rang) if end else (rang, made)
            assert await hung_up_by_the_other(first, second)


# Other pools: alice is at home in the first pool; bob and dora in the second.


@pytest.mark.parametrize(("caller", "server"), [("dora", FE3), ("alice", FE1), ("alice", FE3), ("carol", FE1)])
@on_loop
async def test_user_of_another_pool_is_called_by_the_home_pool_of_the_caller(
    two_pools: Network, caller: str, server: str
) -> None:
    async with two_pools:
        one = await two_pools.agent(caller, server)
        target = await two_pools.agent("dora" if caller == "alice" else "alice", FE1)
        await rules(two_pools, "bob", away="dora" if caller == "alice" else "alice")
        made = await one.call(BOB)
        rang = await ringing(target)
        assert (await made.answered()).status == 200
        assert (await inside(rang, "INVITE")).status == 200
        assert await hung_up_by_the_other(rang, made)


# What rings beside a user of another pool: the first server rings it, since the home pool asks for it.


@pytest.mark.parametrize("server", [FE3, FE1])
@on_loop
async def test_user_of_the_pool_of_the_caller_rings_beside_a_user_of_another_pool(
    two_pools: Network, server: str
) -> None:
    """Either may answer, and the caller learns of no rule."""
    async with two_pools:
        alice, bob, carol = [await two_pools.phone(*at) for at in (("alice", FE1), ("bob", server), ("carol", FE2))]
        await rules(two_pools, "bob", also=["carol", "dora"])
        dora = await two_pools.phone("dora", FE3)
        for answers in (0, 1, 2):
            await called(alice)
            rang = [await comes(one) for one in (bob, carol, dora)]
            assert history(rang[1])[-1] == f"<{CAROL};cause=302>;index=1.1;mp=1;beside"
            assert rang[1].items("p-asserted-identity") == [f"<{ALICE}>"]
            for one, invite in zip((bob, carol, dora), rang, strict=True):
                await one.reply(invite, 180)
            await (bob, carol, dora)[answers].reply(rang[answers], 200)
            seen = await heard(alice)
            assert seen[-1].status == 200
            assert not any(one.has("diversion") or one.status == 181 for one in seen)
            for number, one in enumerate((bob, carol, dora)):
                if number != answers:
                    cancel = await comes(one, "CANCEL")
                    await one.reply(cancel, 200)
                    await one.reply(rang[number], 487)


@on_loop
async def test_user_of_another_pool_without_a_phone_has_others_ring(two_pools: Network) -> None:
    """What the rule for away says, comes after them."""
    async with two_pools:
        alice, carol = await two_pools.phone("alice", FE1), await two_pools.phone("carol", FE2)
        await rules(two_pools, "bob", also=["carol"])
        await called(alice)
        await carol.reply(await comes(carol), 486)
        assert (await alice.final()).status in {480, 486}
        dora = await two_pools.phone("dora", FE3)
        for target in ("dora", "alice"):
            await rules(two_pools, "bob", away=target)
            caller = alice if target == "dora" else dora
            await called(caller)
            rang = await comes(carol)
            await (dora if target == "dora" else alice).silent()
            await carol.reply(rang, 480)
            last = dora if target == "dora" else alice
            await last.reply(await comes(last), 200)
            assert (await caller.final()).status == 200


@on_loop
async def test_busy_user_of_another_pool_is_forwarded_once_the_others_have_refused(two_pools: Network) -> None:
    """A decline of one who rings beside ends no other ring."""
    async with two_pools:
        caller, bob, alice = [await two_pools.phone(*at) for at in (("carol", FE1), ("bob", FE3), ("alice", FE2))]
        dora = await two_pools.phone("dora", FE3)
        await rules(two_pools, "bob", also=["alice"], busy="dora")
        await called(caller)
        at_bob, at_alice = await comes(bob), await comes(alice)
        await alice.reply(at_alice, 180)
        await bob.reply(at_bob, 180)
        await alice.reply(at_alice, 603)
        await dora.silent()
        await bob.reply(at_bob, 486)
        await dora.reply(await comes(dora), 200)
        assert (await caller.final()).status == 200


@on_jumping_loop
async def test_others_ring_beside_a_user_of_another_pool_for_as_long_as_the_rule_says(two_pools: Network) -> None:
    """Then the call goes to its next target, of either pool, or ends; also if the user has refused it before."""
    async with two_pools, ticking(two_pools):
        alice, bob, carol = [await two_pools.phone(*at) for at in (("alice", FE1), ("bob", FE3), ("carol", FE2))]
        dora = await two_pools.phone("dora", FE4)
        for target, refuses in (("none", False), ("none", True), ("dora", False)):
            await rules(two_pools, "bob", also=["carol"], no_answer=target, ring_s=12)
            began = asyncio.get_running_loop().time()
            await called(alice)
            at_bob, at_carol = await comes(bob), await comes(carol)
            await carol.reply(at_carol, 180)
            await bob.reply(at_bob, 486 if refuses else 180)
            if not refuses:
                await bob.reply(await comes(bob, "CANCEL"), 200)
                await bob.reply(at_bob, 487)
            await carol.reply(await comes(carol, "CANCEL"), 200)
            assert 12 <= asyncio.get_running_loop().time() - began < 18
            await carol.reply(at_carol, 487)
            if target == "dora":
                await dora.reply(await comes(dora), 200)
            final = (await alice.final()).status
            assert final == (200 if target == "dora" else 486 if refuses else 480)


@on_loop
async def test_user_of_another_pool_who_rings_beside_leads_the_call_nowhere(two_pools: Network) -> None:
    """Neither by forwarding it, nor by having others ring, nor by a block that would end the ring of the first user."""
    async with two_pools:
        alice = await two_pools.phone("alice", FE1)
        caller = await two_pools.phone("carol", FE1)
        dora = await two_pools.phone("dora", FE3)
        await rules(two_pools, "alice", also=["bob"])
        for asked in (
            {"always": "dora"},
            {"always": "none", "also": ["dora"]},
            {"also": ["none"], "callers": {"*": "block"}},
        ):
            await rules(two_pools, "bob", **asked)
            await called(caller, ALICE)
            rang = await comes(alice)
            await dora.silent()
            await alice.reply(rang, 200)
            assert (await caller.final()).status == 200


@on_loop
async def test_phone_has_no_others_ring_with_the_rights_of_a_user(two_pools: Network) -> None:
    """It writes the 181 of a home pool: for its own user, and for one who forwards to it. Above, the home pool asks."""
    async with two_pools:
        alice, bob, carol = [await two_pools.phone(*at) for at in (("alice", FE1), ("bob", FE3), ("carol", FE2))]
        dora = await two_pools.phone("dora", FE3)
        for phone, asked in ((bob, {}), (dora, {"always": "dora"})):
            await rules(two_pools, "bob", **asked)
            await called(alice)
            rang = await comes(phone)
            phone.contact = f"<{CAROL}>"
            await phone.reply(rang, 181, [("diversion", f"<{BOB}>;reason=follow-me;counter=1")])
            await carol.silent()
            await phone.reply(rang, 486)
            seen = await heard(alice)
            assert [one.status for one in seen if one.status > 180] == [181, 486]
            assert not any(one.has("diversion") for one in seen)


@asynccontextmanager
async def lost_on_demand(
    two_pools: Network, **asked: object
) -> AsyncIterator[tuple[Network, Callable[[], Awaitable[object]]]]:
    """The two pools, and what kills the second one, whose servers are processes. *asked* are the rules of bob, at home there."""
    change_rules(two_pools.organisations[0], "bob", **asked)
    two_pools.starts = (FE1, FE2)
    async with two_pools, AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(two_pools.organisations[0], one)) for one in (FE3, FE4)]
        yield two_pools, lambda: asyncio.gather(*(one.end(signal.SIGKILL) for one in servers))


@on_loop
async def test_caller_hears_at_once_that_the_home_pool_is_lost_while_it_rings(two_pools: Network) -> None:
    """Its rules are lost with it, so the call is not forwarded: no other pool knows them."""
    async with lost_on_demand(two_pools, away="carol", no_answer="carol") as (network, kill):
        alice, bob, carol = [await network.phone(*at) for at in (("alice", FE1), ("bob", FE3), ("carol", FE1))]
        await called(alice)
        await bob.reply(await comes(bob), 180)
        await kill()
        async with asyncio.timeout(AT_ONCE_S):
            assert (await alice.final()).status == 503
        await carol.silent()


@on_loop
async def test_forwarded_call_is_answered_after_the_home_pool_of_who_forwards_is_lost(two_pools: Network) -> None:
    """The first server has carried the diversion out."""
    async with lost_on_demand(two_pools, away="carol") as (network, kill):
        alice, carol = await network.phone("alice", FE1), await network.phone("carol", FE1)
        await called(alice)
        came = await comes(carol)
        await kill()
        await carol.reply(came, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_loop_over_two_pools_ends_the_call(two_pools: Network) -> None:
    async with two_pools:
        carol = await two_pools.phone("carol", FE1)
        for user, target in (("bob", "alice"), ("alice", "dora"), ("dora", "bob")):
            await rules(two_pools, user, always=target)
        await called(carol)
        assert (await carol.final()).status == 482


# Partners


@on_loop
async def test_call_of_our_user_is_forwarded_to_a_partner(federated_pools: Network) -> None:
    async with federated_pools:
        alice, erin = await federated_pools.agent("alice", FE1), await federated_pools.agent("erin", PARTNER_FE)
        await rules(federated_pools, "bob", away="erin@partner.test")
        made = await alice.call(BOB)
        rang = await ringing(erin)
        assert (await made.answered()).status == 200
        assert (await inside(rang, "INVITE")).status == 200
        assert await hung_up_by_the_other(rang, made)


@on_loop
async def test_call_of_a_partner_reaches_users_of_ours_and_no_other_partner(federated_pools: Network) -> None:
    """We may not assert its caller to other partners."""
    async with federated_pools:
        erin, alice = await federated_pools.agent("erin", PARTNER_FE), await federated_pools.agent("alice", FE1)
        await rules(federated_pools, "bob", away="alice")
        made = await erin.call(BOB)
        rang = await ringing(alice)
        assert (await made.answered()).status == 200
        assert await hung_up_by_the_other(made, rang)
        await rules(federated_pools, "bob", away="erin@partner.test")
        assert (await (await erin.call(BOB)).answered()).status == 403
