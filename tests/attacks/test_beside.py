"""Callers who claim what front ends say of those who ring beside a user, or who learn it; each has a case that passes."""

from __future__ import annotations

import pytest

from scenarios.test_call_rules import ALICE, BOB, called, comes, heard, history
from sipmesh.sip.message import Request, Response
from support.call_rules import rules
from support.network import FE1, FE2, FE3, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop

ERIN = "sip:erin@partner.test"


@pytest.mark.parametrize("spelling", [";beside", " ; beside", ";beside;x=1"])
@on_loop
async def test_caller_who_claims_to_call_beside_another_passes_no_rule(federated_pools: Network, spelling: str) -> None:
    """A user of ours and a partner; bob is at home in the second pool. The history without the claim is kept."""
    async with federated_pools:
        bob, carol = await federated_pools.phone("bob", FE3), await federated_pools.phone("carol", FE1)
        await rules(federated_pools, "bob", always="carol")
        for own, at in ((ALICE, FE1), (ERIN, PARTNER_FE)):
            caller = await federated_pools.phone(own[4:].partition("@")[0], at)
            for claim, entries in ((spelling, 2), ("", 2)):
                await called(caller, BOB, ("history-info", f"<{own}>;index=1{claim}"))
                came = await comes(carol)
                assert len(history(came)) == entries
                assert not any("beside" in entry for entry in history(came))
                await carol.reply(came, 486)
                assert (await caller.final()).status == 486
        await bob.silent()


async def heard_of(caller: Peer) -> list[Response]:
    """The responses to the INVITE, and that to its CANCEL."""
    seen: list[Response] = []
    while not seen or seen[-1].status < 200 or seen[-1].cseq.method != "INVITE":
        found = await caller.receive()
        assert isinstance(found, Response)
        seen.append(found)
    return seen


async def take_back(caller: Peer, invite: Request) -> None:
    cancel = Request("CANCEL", invite.uri, [row for row in invite.rows if row.name != "cseq"])
    cancel.append("cseq", f"{invite.cseq.number} CANCEL")
    await caller.send(cancel)


@on_loop
async def test_caller_who_cancels_at_once_learns_the_target_of_no_rule(two_pools: Network) -> None:
    """The 181 of the home pool comes after the CANCEL. A caller who waits has the phone ring."""
    async with two_pools:
        alice, bob, carol = [await two_pools.phone(*at) for at in (("alice", FE1), ("bob", FE3), ("carol", FE2))]
        await rules(two_pools, "bob", also=["carol"])
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        await take_back(alice, invite)
        ringing = await comes(bob)
        await bob.reply(ringing, 180)
        await bob.reply(await comes(bob, "CANCEL"), 200)
        await bob.reply(ringing, 487)
        seen = [one for one in await heard_of(alice) if one.cseq.method == "INVITE"]
        assert seen[-1].status == 487
        assert not any(
            one.status == 181 or one.has("diversion") or "carol" in str(one.first("contact")) for one in seen
        )
        await called(alice)
        await bob.reply(await comes(bob), 180)
        await carol.reply(await comes(carol), 200)
        assert (await heard(alice))[-1].status == 200


@on_loop
async def test_users_who_ring_beside_each_other_in_a_circle_ring_once(federated_pools: Network) -> None:
    """Three users of two pools, and one of a partner: no phone rings twice, and one of them answers."""
    async with federated_pools:
        at = (("bob", FE3), ("carol", FE1), ("dora", FE3), ("erin", PARTNER_FE))
        alice, *others = [await federated_pools.phone(*one) for one in (("alice", FE1), *at)]
        await rules(federated_pools, "bob", also=["carol", "dora", ERIN[4:]])
        await rules(federated_pools, "carol", also=["bob", "dora"])
        await rules(federated_pools, "dora", also=["bob", "carol"])
        await rules(federated_pools, ERIN[4:], also=[BOB[4:], "carol@example.test"])
        await called(alice)
        rang = [await comes(one) for one in others]
        for one in others:
            await one.silent()
        await others[-1].reply(rang[-1], 200)
        assert (await alice.final()).status == 200
