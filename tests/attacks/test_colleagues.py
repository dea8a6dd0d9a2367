"""What a user cannot do in the call of a colleague of the same pool, with all that messages of this call say.

To the other pool, both are one side of the dialog. The attacker knows Call-ID, tags and tokens, and has a call of its own with
the same Call-ID and tags, to an accomplice. Each attack is beside the same request of the user whose call it is.
"""

from __future__ import annotations

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, respond
from support.network import FE1, FE3, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking

METHODS = ["BYE", "INFO", "INVITE"]


def led_into(call: Dialog, thief: Peer, own: Dialog, method: str) -> Request:
    """Make a request of the attacker's *own* dialog that goes on by the entries of *call*, to its other side."""
    forged = inside_of(own, thief, method)
    entries = [*near(own, is_near=True), *near(call, is_near=False)]
    forged.replace("to", call.remote)
    forged.remove("route")
    forged.prepend("route", ", ".join(entries))
    forged.set_uri(call.target)
    return forged


def near(dialog: Dialog, *, is_near: bool) -> list[str]:
    """Give the Route entries of the server that a side is at, or those behind it."""
    hosts = [NameAddr.parse(route).sip_uri.host for route in dialog.routes]
    return [route for route, host in zip(dialog.routes, hosts, strict=True) if (host == hosts[0]) is is_near]


async def same_call(caller: Peer, callee: Peer, like: Request, tag: str) -> tuple[Request, Dialog]:
    """Bring up a call with the Call-ID and the tags of another one, whose INVITE was *like*."""
    caller.tag, callee.tag = like.from_.tag or "", tag
    came, _, dialog = await talking(caller, callee, like.call_id)
    await callee.request_in("ACK")
    return came, dialog


async def refused(thief: Peer, forged: Request, victim: Peer) -> None:
    """See that a request inside the dialog of others is refused, and does not reach the victim."""
    await thief.send(forged)
    assert (await thief.final(method=forged.method)).status in {403, 481}
    await victim.silent()


async def passes(sender: Peer, asked: Request, receiver: Peer) -> None:
    """See that the same request passes from the side of the dialog."""
    await sender.send(asked)
    await receiver.reply(await receiver.request_in(asked.method), 200)
    assert (await sender.final(method=asked.method)).status == 200


@pytest.mark.parametrize("method", METHODS)
@on_loop
async def test_colleague_of_the_caller_sends_nothing_into_the_call(two_pools: Network, method: str) -> None:
    async with two_pools:
        alice, carol = await two_pools.phone("alice", FE1), await two_pools.phone("carol", FE1)
        bob, dora = await two_pools.phone("bob", FE3), await two_pools.phone("dora", FE3)
        came, tag, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        _, own = await same_call(carol, dora, came, tag)
        await refused(carol, led_into(dialog, carol, own, method), bob)
        await passes(carol, inside_of(own, carol, "INFO"), dora)
        await passes(alice, inside_of(dialog, alice, method), bob)


@pytest.mark.parametrize("method", METHODS)
@on_loop
async def test_colleague_of_the_callee_sends_nothing_into_the_call(two_pools: Network, method: str) -> None:
    async with two_pools:
        alice, carol = await two_pools.phone("alice", FE1), await two_pools.phone("carol", FE1)
        bob, dora = await two_pools.phone("bob", FE3), await two_pools.phone("dora", FE3)
        came, tag, _ = await talking(alice, bob)
        await bob.request_in("ACK")
        dialog = Dialog.of_callee(came, tag)
        call, _ = await same_call(carol, dora, came, tag)
        own = Dialog.of_callee(call, tag)
        await refused(dora, led_into(dialog, dora, own, method), alice)
        await passes(dora, inside_of(own, dora, "INFO"), carol)
        await passes(bob, inside_of(dialog, bob, method), alice)


@on_loop
async def test_caller_with_the_tag_of_a_callee_sends_nothing_into_the_call(two_pools: Network) -> None:
    """The other pool then takes the request for one of the callee's."""
    async with two_pools:
        alice, carol = await two_pools.phone("alice", FE1), await two_pools.phone("carol", FE1)
        bob, dora = await two_pools.phone("bob", FE3), await two_pools.phone("dora", FE3)
        came, tag, _ = await talking(bob, alice)
        await alice.request_in("ACK")
        dialog = Dialog.of_callee(came, tag)
        carol.tag, dora.tag = tag, came.from_.tag or ""
        _, _, own = await talking(carol, dora, came.call_id)
        await dora.request_in("ACK")
        await refused(carol, led_into(dialog, carol, own, "BYE"), bob)
        await passes(alice, inside_of(dialog, alice, "BYE"), bob)


@pytest.mark.parametrize("place", [0, 2, 4])
@on_loop
async def test_accomplice_who_answers_with_an_entry_of_the_call_leads_no_other_user_into_it(
    two_pools: Network, place: int
) -> None:
    """Wherever the accomplice writes it into its Record-Route, the attacker's server takes the entry of the accomplice's."""
    async with two_pools:
        alice, carol = await two_pools.phone("alice", FE1), await two_pools.phone("carol", FE1)
        bob, dora = await two_pools.phone("bob", FE3), await two_pools.phone("dora", FE3)
        came, tag, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        carol.tag, dora.tag = came.from_.tag or "", tag
        invite = carol.request("INVITE", f"sip:{dora.user}", call_id=came.call_id)
        await carol.send(invite)
        asked = await dora.request_in("INVITE")
        entries = asked.items("record-route")
        entries[place:place] = near(dialog, is_near=False)
        rows = [("record-route", entry) for entry in entries]
        await dora.send(respond(asked, 200, headers=[*rows, ("contact", dora.contact)], to_tag=tag))
        own = Dialog.of_caller(invite, await carol.final())
        await carol.send(inside_of(own, carol, "ACK"))
        await refused(carol, led_into(dialog, carol, own, "BYE"), bob)
        await passes(alice, inside_of(dialog, alice, "BYE"), bob)


@on_loop
async def test_colleague_sends_nothing_into_a_call_with_a_partner(federated_pools: Network) -> None:
    federated_pools.organisations[1].add_users("fred")
    async with federated_pools as network:
        alice, carol = await network.phone("alice", FE1), await network.phone("carol", FE1)
        erin, fred = await network.phone("erin", PARTNER_FE), await network.phone("fred", PARTNER_FE)
        came, tag, dialog = await talking(alice, erin)
        await erin.request_in("ACK")
        _, own = await same_call(carol, fred, came, tag)
        await refused(carol, led_into(dialog, carol, own, "BYE"), erin)
        await passes(alice, inside_of(dialog, alice, "BYE"), erin)
