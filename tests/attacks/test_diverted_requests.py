"""A partner that calls an accomplice cannot go on from its own call into the call of others, by the Route entry of that call.

Its accomplice answers with the tag that the other call has. So all of our entries are of calls with the same Call-ID and tags.
"""

from __future__ import annotations

from sipmesh.client.dialog import Dialog
from sipmesh.sip.message import Request
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, FE2, PARTNER_EDGE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking


async def partner_calls(thief: Peer, accomplice: Peer, call_id: str, tag: str) -> tuple[Request, Dialog]:
    """Call with the Call-ID and the *tag* of another call; returns the INVITE that came, and the dialog of the thief."""
    invite = thief.request("INVITE", f"sip:{accomplice.user}", sender=f"<sip:{thief.user}>;tag={tag}", call_id=call_id)
    await thief.send(invite)
    came = await accomplice.request_in("INVITE")
    await accomplice.reply(came, 200)
    answer = await thief.final()
    assert answer.status == 200
    dialog = Dialog.of_caller(invite, answer)
    await thief.send(inside_of(dialog, thief, "ACK"))
    await accomplice.request_in("ACK")
    return came, dialog


@on_loop
async def test_partner_ends_no_call_between_others_by_its_own_call_with_an_accomplice(federation: Network) -> None:
    async with federation:
        alice, bob, carol = [await federation.phone(user, FE1) for user in ("alice", "bob", "carol")]
        thief = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        carol.tag = bob.tag
        for number in range(20):  # the edge chooses the front end by the Call-ID
            _, _, call = await talking(alice, bob, f"call{number}")
            await bob.request_in("ACK")
            came, own = await partner_calls(thief, carol, f"call{number}", alice.tag)
            if any(FE2 in route for route in came.values("record-route")):
                break
        rightful = inside_of(own, thief, "BYE")
        theirs = inside_of(call, alice, "BYE").values("route")
        ways = [route for route in rightful.values("route") if FE1 not in route]
        assert FE2 in ways[-1]
        for to in (own.remote, call.remote):
            diverted = inside_of(own, thief, "BYE")
            diverted.remove("route")
            diverted.append("route", ", ".join([*ways, *theirs]))
            diverted.replace("to", to)
            diverted.set_uri(inside_of(call, alice, "BYE").uri)
            assert (await thief.ask(diverted)).status == 403
        await bob.silent()
        await thief.send(rightful)
        await carol.reply(await carol.request_in("BYE"), 200)
        assert (await thief.final()).status == 200
        await alice.send(inside_of(call, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        assert (await alice.final()).status == 200
