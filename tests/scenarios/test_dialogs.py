"""Everything that a phone may rightfully do inside a dialog goes on working, in each topology, from either side."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, Response
from sipmesh.topology.server_choice import turned
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, EDGE2, FE1, FE2, FE3, PARTNER_EDGE, PARTNER_FE, Network
from support.peer import Headers, Peer
from support.running import on_loop
from support.talking import inside_of, talking
from support.tiers import wide_after

TOPOLOGIES = {
    "one front end": ("home", "bob", FE1),
    "two pools": ("two_pools", "bob", FE3),
    "two edges": ("two_edges", "erin", PARTNER_FE),
    "two front ends": ("pool", "bob", FE2),
    "a partner": ("federation", "erin", PARTNER_FE),
}
EDGES_OF_THE_POOL = {EDGE, EDGE2}


@dataclass(slots=True)
class Ends:
    """alice at fe1, and the *other* end at *server*, with *network* between them."""

    network: Network
    other: str
    server: str

    async def phones(self) -> tuple[Peer, Peer]:
        """Register both."""
        return await self.network.phone("alice", FE1), await self.network.phone(self.other, self.server)

    async def lose_the_edge(self, came: Request) -> None:
        """Stop the edge that *came* has passed, where another edge can go on; elsewhere nothing happens."""
        if EDGE2 in self.network.nodes:
            (edge,) = EDGES_OF_THE_POOL.intersection(recorded(came))
            await self.network.stop(edge)


def recorded(request: Request) -> list[str]:
    """The hosts that have record-routed *request*."""
    return [NameAddr.parse(item).sip_uri.host for item in request.items("record-route")]


@pytest.fixture(name="ends", params=wide_after(3, TOPOLOGIES))
def _ends(request: pytest.FixtureRequest) -> Ends:
    network, other, server = TOPOLOGIES[request.param]
    return Ends(request.getfixturevalue(network), other, server)


async def passed(
    dialog: Dialog, sender: Peer, receiver: Peer, method: str, headers: Headers = (), status: int = 200
) -> Request:
    """Send a request inside *dialog*, have the *receiver* answer it, and give it as it arrived; an INVITE is acknowledged."""
    request = inside_of(dialog, sender, method)
    for name, value in headers:
        request.append(name, value)
    await sender.send(request)
    came = await receiver.request_in(method)
    assert (came.call_id, came.from_.tag, came.to.tag) == (request.call_id, request.from_.tag, request.to.tag)
    await receiver.reply(came, status)
    assert (await sender.final(method=method)).status == status
    if method == "INVITE":
        await sender.send(inside_of(dialog, sender, "ACK"))
        await receiver.request_in("ACK")
    return came


async def provisional(peer: Peer, status: int) -> Response:
    """Wait for a provisional response of *status*; 100 is passed over."""
    while True:
        message = await peer.receive()
        assert isinstance(message, Response), message
        if message.status != 100:
            assert message.status == status, message
            return message


# Calls


@pytest.mark.parametrize("alice_calls", [True, False], ids=["ours calls", "ours is called"])
@on_loop
async def test_a_call_goes_on_in_both_directions_until_either_side_hangs_up(ends: Ends, *, alice_calls: bool) -> None:
    """re-INVITE, UPDATE, INFO and REFER with its NOTIFY by each side; where there are two edges, by the other edge."""
    async with ends.network:
        alice, other = await ends.phones()
        caller, callee = (alice, other) if alice_calls else (other, alice)
        came, _, by_caller = await talking(caller, callee)
        await callee.request_in("ACK")
        by_callee = Dialog.of_callee(came, callee.tag)
        await ends.lose_the_edge(came)
        for dialog, sender, receiver in ((by_caller, caller, callee), (by_callee, callee, caller)):
            for method in ("INVITE", "UPDATE", "INFO"):
                await passed(dialog, sender, receiver, method)
        for refers, referee, there, back in (
            (caller, callee, by_caller, by_callee),
            (callee, caller, by_callee, by_caller),
        ):
            target = [("refer-to", "<sip:alice@example.test>"), ("referred-by", f"<sip:{refers.user}>")]
            refer = await passed(there, refers, referee, "REFER", target, status=202)
            assert refer.values("referred-by") == [f"<sip:{refers.user}>"]
            notify = await passed(
                back, referee, refers, "NOTIFY", [("event", "refer"), ("subscription-state", "active")]
            )
            assert notify.values("event") == ["refer"]
        await passed(by_callee, callee, caller, "BYE")


@on_loop
async def test_each_early_dialog_of_a_forked_call_is_a_dialog_of_its_own(ends: Ends) -> None:
    """Two devices ring; each has PRACK and UPDATE from the caller and UPDATE to it under its own To tag (RFC 3262, RFC 3311)."""
    async with ends.network:
        alice, desk = await ends.phones()
        mobile = await ends.network.phone(ends.other, ends.server)
        invite = alice.request("INVITE", f"sip:{desk.user}", [("supported", "100rel")])
        await alice.send(invite)
        rings = {}
        for device in (desk, mobile):
            rings[device.tag] = came = await device.request_in("INVITE")
            await device.reply(came, 183, [("require", "100rel"), ("rseq", "1")])
            early = await provisional(alice, 183)
            assert early.to.tag == device.tag
            await early_exchange(Dialog.of_caller(invite, early), Dialog.of_callee(came, device.tag), alice, device)
        await mobile.reply(rings[mobile.tag], 200)
        dialog = Dialog.of_caller(invite, await alice.final(method="INVITE"))
        await desk.request_in("CANCEL")
        await desk.reply(rings[desk.tag], 487)
        await desk.request_in("ACK")
        await alice.send(inside_of(dialog, alice, "ACK"))
        await mobile.request_in("ACK")
        dialog.local_cseq += 9  # the early dialogs have counted on
        await passed(dialog, alice, mobile, "BYE")


async def early_exchange(there: Dialog, back: Dialog, caller: Peer, callee: Peer) -> None:
    """PRACK and UPDATE from the caller, and UPDATE from the callee, in one early dialog."""
    rack = f"1 {there.local_cseq} INVITE"
    assert (await passed(there, caller, callee, "PRACK", [("rack", rack)])).values("rack") == [rack]
    await passed(there, caller, callee, "UPDATE")
    await passed(back, callee, caller, "UPDATE")


@on_loop
async def test_one_device_may_ring_under_several_tags(ends: Ends) -> None:
    """A B2BUA or a gateway forks behind its one link, so both early dialogs are on the same flow."""
    async with ends.network:
        alice, other = await ends.phones()
        invite = alice.request("INVITE", f"sip:{other.user}", [("supported", "100rel")])
        await alice.send(invite)
        came = await other.request_in("INVITE")
        for tag in ("first", "second"):
            other.tag = tag
            await other.reply(came, 183, [("require", "100rel"), ("rseq", "1")])
            early = await provisional(alice, 183)
            await early_exchange(Dialog.of_caller(invite, early), Dialog.of_callee(came, tag), alice, other)
        await other.reply(came, 200)
        dialog = Dialog.of_caller(invite, await alice.final(method="INVITE"))
        await alice.send(inside_of(dialog, alice, "ACK"))
        await other.request_in("ACK")
        await passed(Dialog.of_callee(came, "second"), other, alice, "BYE")


# Subscriptions


@pytest.mark.parametrize("alice_asks", [True, False], ids=["ours asks", "ours is asked"])
@on_loop
async def test_a_subscription_is_notified_and_refreshed(ends: Ends, *, alice_asks: bool) -> None:
    """It begins a dialog (RFC 6665); the first NOTIFY comes before its answer, later NOTIFYs and a refresh after."""
    async with ends.network:
        alice, other = await ends.phones()
        asks, asked = (alice, other) if alice_asks else (other, alice)
        opening = asks.request("SUBSCRIBE", f"sip:{asked.user}", [("event", "call-completion"), ("expires", "600")])
        await asks.send(opening)
        came = await asked.request_in("SUBSCRIBE")
        back = Dialog.of_callee(came, asked.tag)
        event = [("event", "call-completion"), ("subscription-state", "active")]
        await passed(back, asked, asks, "NOTIFY", event)
        await asked.reply(came, 200)
        there = Dialog.of_caller(opening, await asks.final(method="SUBSCRIBE"))
        await ends.lose_the_edge(came)
        await passed(back, asked, asks, "NOTIFY", event)
        await passed(there, asks, asked, "SUBSCRIBE", [("event", event[0][1]), ("expires", "0")])
        await passed(back, asked, asks, "NOTIFY", [event[0], ("subscription-state", "terminated")])


# Two edges of one pool


@on_loop
async def test_a_partner_may_send_the_rest_of_a_call_to_another_edge_than_its_invite(two_edges: Network) -> None:
    """Both edges live. It is the partner's choice, also in an early dialog; and it has no other effect."""
    async with two_edges:
        alice = await two_edges.phone("alice", FE1)
        first, second = [
            await two_edges.peer_at(edge, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE) for edge in (EDGE, EDGE2)
        ]
        invite = first.request("INVITE", "sip:alice@example.test", [("supported", "100rel")])
        await first.send(invite)
        came = await alice.request_in("INVITE")
        await alice.reply(came, 183, [("require", "100rel"), ("rseq", "1")])
        early = Dialog.of_caller(invite, await provisional(first, 183))
        await passed(early, second, alice, "PRACK", [("rack", "1 1 INVITE")])
        await passed(early, second, alice, "UPDATE")
        await alice.reply(came, 200)
        dialog = Dialog.of_caller(invite, await first.final(method="INVITE"))
        dialog.local_cseq = early.local_cseq
        await second.send(ack_of(inside_of(dialog, second, "ACK"), invite))
        await alice.request_in("ACK")
        forged = inside_of(dialog, second, "INFO")
        forged.replace("call-id", "another")
        assert (await second.ask(forged)).status == 403
        for method in ("INVITE", "INFO", "BYE"):
            await passed(dialog, second, alice, method)


def ack_of(ack: Request, invite: Request) -> Request:
    ack.replace("cseq", f"{invite.cseq.number} ACK")
    return ack


@pytest.mark.parametrize("lost", [EDGE, EDGE2])
@on_loop
async def test_edges_that_a_call_has_not_passed_carry_it_on_both_ways(two_edges: Network, lost: str) -> None:
    """Each edge of the pool is once the edge of the call's start, and stops."""
    async with two_edges:
        alice, erin = await two_edges.phone("alice", FE1), await two_edges.phone("erin", PARTNER_FE)
        call_id = next(f"c-{n}" for n in range(99) if turned((EDGE, EDGE2), f"c-{n}")[0] == lost)
        came, _, dialog = await talking(alice, erin, call_id)
        await erin.request_in("ACK")
        assert recorded(came).count(lost) == 1
        await two_edges.stop(lost)
        await passed(dialog, alice, erin, "INVITE")
        await passed(Dialog.of_callee(came, erin.tag), erin, alice, "BYE")


# RFC 4916


@on_loop
async def test_who_is_two_users_may_change_its_name_inside_a_call_and_take_no_third(federation: Network) -> None:
    """Alice's link has proved carol too, and not bob; the phone at the other end sees whom the network vouches for."""
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        alice.user = "carol@example.test"
        assert (await alice.register()).status == 200
        alice.user = "alice@example.test"
        _, _, dialog = await talking(alice, erin)
        await erin.request_in("ACK")
        update = inside_of(dialog, alice, "UPDATE")
        update.replace("from", f"<sip:bob@example.test>;tag={alice.tag}")
        assert (await alice.ask(update)).status == 403
        update = inside_of(dialog, alice, "UPDATE")
        update.replace("from", f"<sip:carol@example.test>;tag={alice.tag}")
        await alice.send(update)
        came = await erin.request_in("UPDATE")
        assert came.from_.uri == "sip:carol@example.test"
        assert came.values("p-asserted-identity") == ["<sip:carol@example.test>"]
        await erin.reply(came, 200)
        assert (await alice.final(method="UPDATE")).status == 200
