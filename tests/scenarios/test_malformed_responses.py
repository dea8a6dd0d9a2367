"""Malformed responses: the caller gets a 502 at once, and the phone that has sent the response is released."""

from __future__ import annotations

import pytest

from sipmesh.routing.proxy.release import MALFORMED
from sipmesh.sip.message import Request
from support.network import FE1, FE2, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking
from support.tiers import wide_after

BOB = "sip:bob@example.test"
WARNING = '399 sipmesh "the next hop has sent a malformed response"'
CONTACT, ROUTE = b"Contact: <sip:", b"Record-Route: <sip:"

FAULTS = [
    (CONTACT, b"Contact: <sip:[", 200),
    (CONTACT, b"Record-Route: ,<sip:\r\nContact: <sip:", 200),
    (ROUTE, b"Record-Route: <sip:%%@[;", 200),
    (CONTACT, b"Max-Breadth: 1\r\nMax-Breadth: 1\r\nContact: <sip:", 200),
    (CONTACT, b"X: a\x01b\r\nContact: <sip:", 200),
    (b"CSeq: ", b"CSeq: x", 200),
    (b"CSeq: ", b"X: ", 200),
    (b"From: ", b"From: <sip:[>\r\nX: ", 200),
    (CONTACT, b"Contact: <sip:[", 486),
    (b"SIP/2.0 486", b"SIP/7.0 486", 486),
    (b"SIP/2.0 486 Busy Here", b"SIP/2.0 x", 486),
]


async def answer(phone: Peer, came: Request, status: int, old: bytes = b"", new: bytes = b"") -> None:
    """Answer with *new* in place of *old*."""
    sent: list[bytes] = []
    write = phone.write

    async def keep(data: bytes) -> None:
        sent.append(data)

    phone.write = keep  # type: ignore[method-assign]
    await phone.reply(came, status)
    phone.write = write  # type: ignore[method-assign]
    changed = sent[0].replace(old, new, 1)
    assert not old or changed != sent[0]
    await phone.write(changed)


async def released(phone: Peer, came: Request) -> None:
    """The phone gets the ACK and the BYE of the call that it has accepted."""
    ack = await phone.request_in("ACK")
    bye = await phone.request_in("BYE")
    assert {ack.to.tag, bye.to.tag} == {phone.tag}
    assert (ack.call_id, ack.cseq.number, bye.cseq.number) == (came.call_id, came.cseq.number, came.cseq.number + 1)
    assert bye.values("reason") == [MALFORMED]


@pytest.mark.parametrize(("old", "new", "status"), wide_after(4, FAULTS))
@on_loop
async def test_malformed_answer_is_a_502_for_the_caller(home: Network, old: bytes, new: bytes, status: int) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("INVITE", BOB))
        came = await bob.request_in("INVITE")
        await answer(bob, came, status, old, new)
        refused = await alice.final()
        assert (refused.status, refused.values("warning")) == (502, [WARNING])
        if status == 200:
            await released(bob, came)
        else:
            assert (await bob.request_in("ACK")).cseq.number == came.cseq.number
        await talking(alice, bob)


@pytest.mark.parametrize("to", [b"To: <sip:[>\r\nX: ", b'To: <sip:bob@example.test>;tag="a b"\r\nX: '])
@on_loop
async def test_dialog_that_cannot_be_named_gets_no_bye(home: Network, to: bytes) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("INVITE", BOB))
        await answer(bob, await bob.request_in("INVITE"), 200, b"To: ", to)
        assert (await alice.final()).status == 502
        await bob.silent()


@on_loop
async def test_malformed_ringing_counts_as_trying(home: Network) -> None:
    """The call can still be accepted, and a CANCEL finds the phone."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        came = await bob.request_in("INVITE")
        await answer(bob, came, 180, CONTACT, b"Contact: <sip:[")
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_malformed_answer_of_one_phone_leaves_the_other_ringing(pool: Network) -> None:
    async with pool:
        alice, near, far = [await pool.phone(*who) for who in (("alice", FE1), ("bob", FE1), ("bob", FE2))]
        await alice.send(alice.request("INVITE", BOB))
        calls = [await near.request_in("INVITE"), await far.request_in("INVITE")]
        await answer(far, calls[1], 200, CONTACT, b"Contact: <sip:[")
        await released(far, calls[1])
        await near.reply(calls[0], 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_malformed_answer_to_a_request_inside_a_call_ends_no_call(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        _, _, dialog = await talking(alice, bob)
        assert (await bob.request_in("ACK")).method == "ACK"
        await alice.send(inside_of(dialog, alice, "INVITE"))
        await answer(bob, await bob.request_in("INVITE"), 200, CONTACT, b"Contact: <sip:[")
        assert (await alice.final()).status == 502
        assert (await bob.request_in("ACK")).to.tag == bob.tag
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_malformed_answer_of_a_partners_phone_releases_it_through_its_own_servers(federation: Network) -> None:
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        await alice.send(alice.request("INVITE", "sip:erin@partner.test"))
        came = await erin.request_in("INVITE")
        await answer(erin, came, 200, CONTACT, b"Contact: <sip:[")
        assert (await alice.final()).status == 502
        await released(erin, came)


@on_loop
async def test_malformed_answer_on_another_link_ends_no_request(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", BOB))
        came = await bob.request_in("MESSAGE")
        await answer(alice, came, 200, b"CSeq: ", b"CSeq: x")
        await alice.silent()
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_malformed_answer_to_a_cancel_ends_no_invite(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        came = await bob.request_in("INVITE")
        await bob.reply(came, 180)
        cancel = alice.request("CANCEL", BOB, call_id=invite.call_id, cseq=invite.cseq.number)
        cancel.replace("via", invite.first("via") or "")
        await alice.send(cancel)
        await answer(bob, await bob.request_in("CANCEL"), 200, b"CSeq: ", b"CSeq: x")
        await bob.reply(came, 200)
        assert (await alice.final(method="INVITE")).status == 200
