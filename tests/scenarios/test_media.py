"""Media in the clear are refused in every message that can agree on them; each refusal beside the same message with keys."""

from __future__ import annotations

import json

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.media.bodies import MAX_BODY
from sipmesh.sip.message import Request, Response
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from support.descriptions import (
    CLEAR,
    CRYPTO,
    FINGERPRINT,
    KEY,
    OPPORTUNISTIC,
    SDES,
    SDP,
    SESSION,
    multipart,
    with_body,
)
from support.network import EDGE, EDGES, FE1, FE2, PARTNER_EDGE, PARTNER_EDGES, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking
from support.tiers import wide_after

BOB = "sip:bob@example.test"


async def answered(callee: Peer, request: Request, status: int, body: bytes) -> None:
    """Answer a request with a session description."""
    await callee.reply(request, status, [("content-type", SDP)], body)


async def released(callee: Peer, method: str = "INVITE") -> None:
    """See that the callee gets an ACK, if it has accepted an INVITE, and a BYE."""
    if method == "INVITE":
        assert (await callee.request_in("ACK")).body == b""
    bye = await callee.request_in("BYE")
    assert bye.values("reason") == ['SIP;cause=488;text="Media policy"']
    assert bye.to.tag == callee.tag
    await callee.reply(bye, 200)


def refused_for(response: Response, status: int = 488) -> None:
    """See that a response names the media line, with the warn-code for the transport, and a reference to our log."""
    assert response.status == status, response
    first, reference = response.values("warning")
    assert first.partition(" ")[0] in {"302", "306"}
    assert "media line 1, m=audio 5004 RTP/" in first
    assert "refused: media, reference" in reference


@pytest.mark.parametrize("body", [CLEAR, OPPORTUNISTIC, SESSION + CRYPTO + b"m=audio 5004 RTP/SAVP 0\r\n"])
@on_loop
async def test_offer_in_the_clear_gets_488_and_offer_with_keys_arrives_unchanged(home: Network, body: bytes) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        refused_for(await alice.ask(with_body(alice.request("INVITE", BOB), body)))
        await bob.silent()
        await alice.send(with_body(alice.request("INVITE", BOB), SDES))
        assert (await bob.request_in("INVITE")).body == SDES


@pytest.mark.parametrize(
    ("body", "content_type", "header", "status"),
    wide_after(
        5,
        [
            (multipart((SDP, SDES), ("text/plain", CLEAR)), "multipart/mixed;boundary=b1", (), 488),
            (multipart((SDP, SDES), (SDP, CLEAR)), "multipart/alternative;boundary=b1", (), 488),
            (multipart((SDP, SDES)) + CLEAR, "multipart/mixed;boundary=b1", (), 488),
            (CLEAR, "application/octet-stream", (), 488),
            (CLEAR, "", (), 488),
            (SDES.replace(b"a=", b"a=x\rm=audio 5004 RTP/AVP 0\ra="), SDP, (), 488),
            (SDES + b"m=audio 5004 RTP/AVP 0\r\n", SDP, (), 488),
            (SDES, SDP, ("content-encoding", "gzip"), 415),
            (SDES, SDP, ("content-type", SDP), 400),
            (SDES, SDP, ("c", SDP), 400),
            (b"\x1f\x8b\x08", "application/pkcs7-mime", (), 415),
        ],
    ),
)
@on_loop
async def test_no_spelling_hides_media_in_the_clear(
    home: Network, body: bytes, content_type: str, header: tuple[str, str] | tuple[()], status: int
) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        invite = with_body(alice.request("INVITE", BOB), body, content_type)
        if header:
            invite.append(*header)
        assert (await alice.ask(invite)).status == status
        await bob.silent()
        mixed = multipart((SDP, SDES), ("text/plain", b"hello"))
        await alice.send(with_body(alice.request("INVITE", BOB), mixed, "multipart/mixed;boundary=b1"))
        assert (await bob.request_in("INVITE")).body == mixed


@on_loop
async def test_message_is_no_offer_and_is_not_read(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(with_body(alice.request("MESSAGE", BOB), CLEAR))
        assert (await bob.request_in("MESSAGE")).body == CLEAR


@on_loop
async def test_early_media_in_the_clear_cancel_the_branch(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        await alice.send(with_body(alice.request("INVITE", BOB), SDES))
        came = await bob.request_in("INVITE")
        await answered(bob, came, 183, CLEAR)
        cancel = await bob.request_in("CANCEL")
        assert cancel.values("reason") == ['SIP;cause=488;text="Media policy"']
        await bob.reply(cancel, 200)
        await bob.reply(came, 487)
        await bob.request_in("ACK")
        refused_for(await alice.final(method="INVITE"))


@on_loop
async def test_other_device_may_still_answer_with_keys(pool: Network) -> None:
    """A device that answers in the clear is a branch that has failed."""
    async with pool:
        alice = await pool.phone("alice", FE1)
        desk, mobile = await pool.phone("bob", FE1), await pool.phone("bob", FE2)
        await alice.send(with_body(alice.request("INVITE", BOB), SDES))
        at_desk, at_mobile = await desk.request_in("INVITE"), await mobile.request_in("INVITE")
        await answered(desk, at_desk, 200, CLEAR)
        await released(desk)
        await answered(mobile, at_mobile, 200, SDES)
        assert (await alice.final()).to.tag == mobile.tag


@pytest.mark.parametrize(("offer", "is_refused"), [(SDES, True), (CLEAR, False)])
@on_loop
async def test_second_answer_to_an_offer_with_keys_is_not_in_the_clear_either(
    example: Organisation, offer: bytes, *, is_refused: bool
) -> None:
    """Under `encrypted`. Each 2xx of a fork is forwarded (RFC 3261 16.7 item 5), and the INVITE has no body any more."""
    example.document["media"] = "encrypted"
    example.write()
    async with Network((example,), starts=(FE1, FE2)) as pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        await alice.send(with_body(alice.request("INVITE", BOB), offer))
        came = await bob.request_in("INVITE")
        await answered(bob, came, 200, SDES)
        assert (await alice.final()).body == SDES
        bob.tag = "second"
        await answered(bob, came, 200, CLEAR)
        if is_refused:
            await released(bob)
            await alice.silent()
        else:
            assert (await alice.final()).body == CLEAR


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@on_loop
async def test_offer_in_the_clear_inside_a_call_leaves_the_call_up(pool: Network, method: str) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        refused_for(await alice.ask(with_body(inside_of(dialog, alice, method), CLEAR)))
        await alice.send(with_body(inside_of(dialog, alice, method), SDES))
        assert (await bob.request_in(method)).body == SDES


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@on_loop
async def test_answer_in_the_clear_inside_a_call_ends_it(pool: Network, method: str) -> None:
    """The callee has changed its session already. So it gets a BYE, and the caller a 481 (RFC 5057 section 5.1)."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        await alice.send(with_body(inside_of(dialog, alice, method), SDES))
        await answered(bob, await bob.request_in(method), 200, CLEAR)
        refused_for(await alice.final(method=method), 481)
        await released(bob, method)


@on_loop
async def test_answer_in_a_prack_is_judged(home: Network) -> None:
    """RFC 3262 section 5: a reliable 18x has an offer, and the PRACK its answer."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        invite = alice.request("INVITE", BOB)
        await alice.send(invite)
        await answered(bob, await bob.request_in("INVITE"), 183, SDES)
        early = await alice.receive()
        while not early.body:
            early = await alice.receive()
        assert isinstance(early, Response)
        dialog = Dialog.of_caller(invite, early)
        refused_for(await alice.ask(with_body(inside_of(dialog, alice, "PRACK"), CLEAR)))
        await alice.send(with_body(inside_of(dialog, alice, "PRACK"), SDES))
        assert (await bob.request_in("PRACK")).body == SDES


@on_loop
async def test_keys_are_in_no_log_and_in_no_response(home: Network) -> None:
    """For all faults of the message."""
    fingerprint = FINGERPRINT.decode().partition(" ")[2].strip()
    bad = [
        CLEAR + CRYPTO + FINGERPRINT,
        SDES.replace(b"a=crypto:1 AES", b"a=crypto:1 NULL") + FINGERPRINT,
        SDES.replace(b"m=audio", b"m=" + CRYPTO.strip() + b" "),
        SESSION + b"A" + CRYPTO + FINGERPRINT,
        multipart((SDP, SDES))[:-9],
        SDES.replace(b" inline:", b"  UNENCRYPTED_SRTP inline:"),
    ]
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        for body in bad:
            kind = SDP if body.startswith(b"v=0") else "multipart/mixed;boundary=b1"
            refused = await alice.ask(with_body(alice.request("INVITE", BOB), body, kind))
            assert refused.status == 488
            assert KEY.encode() not in refused.encode()
            assert fingerprint.encode() not in refused.encode()
        await alice.send(with_body(alice.request("INVITE", BOB), SDES))
        await answered(bob, await bob.request_in("INVITE"), 200, CLEAR + CRYPTO)
        await alice.final(method="INVITE")
        logged = json.dumps(home.told[FE1].lines, default=str)
        logged += str(list(home.nodes[FE1].refusals.newest))
    assert "media-not-encrypted" in logged
    assert "media-unreadable" in logged
    assert KEY not in logged
    assert fingerprint not in logged


def with_media(network: Network, ours: object, theirs: object) -> Network:
    """Set the media policies of example.test and of partner.test."""
    for organisation, policy in zip(network.organisations, (ours, theirs), strict=True):
        organisation.document["media"] = policy
    return network


@on_loop
async def test_partner_may_have_a_policy_of_its_own(federation: Network) -> None:
    with_media(federation, "encrypted-required", "any")
    example, partner = federation.organisations
    theirs = f"{PARTNER_EDGES}:{partner.ports[PARTNER_EDGE][LinkKind.PARTNER]}"
    example.federate(EDGES, [partner.as_partner(edge=theirs, media="any")])
    async with federation:
        alice, bob, erin = (
            await federation.phone("alice", FE1),
            await federation.phone("bob", FE2),
            await federation.phone("erin", PARTNER_FE),
        )
        await alice.send(with_body(alice.request("INVITE", "sip:erin@partner.test"), CLEAR))
        came = await erin.request_in("INVITE")
        await answered(erin, came, 200, CLEAR)
        assert (await alice.final()).body == CLEAR
        await erin.send(with_body(erin.request("INVITE", BOB), CLEAR))
        assert (await bob.request_in("INVITE")).body == CLEAR
        refused_for(await alice.ask(with_body(alice.request("INVITE", BOB), CLEAR)))
        for uri in (
            BOB,
            bob.contact[1:-1],
        ):  # a To that would weaken the policy of the call, which its Contact does not name
            misleading = alice.request("INVITE", uri, to="<sip:erin@partner.test>")
            assert (await alice.ask(misleading)).status == 488


@pytest.mark.parametrize(("octets", "status"), [(MAX_BODY, 486), (MAX_BODY + 1, 488)])
@on_loop
async def test_partner_sends_no_large_body_to_be_searched_for_media(
    federation: Network, octets: int, status: int
) -> None:
    """Each server on the way reads it, and serves no other client meanwhile: 5 MB took up to a second."""
    async with federation:
        erin = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        bob = await federation.phone("bob", FE1)
        frame = len(multipart((SDP, SDES), ("text/plain", b"")))
        body = multipart((SDP, SDES), ("text/plain", b"x" * (octets - frame)))
        await erin.send(with_body(erin.request("INVITE", BOB), body, "multipart/mixed;boundary=b1"))
        if status == 486:
            await bob.reply(await bob.request_in("INVITE"), status)
            await bob.request_in("ACK")
        assert (await erin.final()).status == status
        await bob.silent()


@on_loop
async def test_partner_that_answers_in_the_clear_is_released_through_its_own_servers(federation: Network) -> None:
    with_media(federation, "encrypted-required", "any")
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        await alice.send(with_body(alice.request("INVITE", "sip:erin@partner.test"), SDES))
        await answered(erin, await erin.request_in("INVITE"), 200, CLEAR)
        refused_for(await alice.final())
        await released(erin)
        refused_for(await erin.ask(with_body(erin.request("INVITE", "sip:alice@example.test"), CLEAR)))


@pytest.mark.parametrize("alias", ["sip:+4930123@lab.test", "sip:info@lab.test", "sip:42@lab.test"])
@on_loop
async def test_alias_in_a_domain_of_a_weaker_policy_weakens_no_call(example: Organisation, alias: str) -> None:
    """Neither of the caller nor, inside the call, of the callee; with keys, the user is called under it."""
    example.document["sip_domains"] = ["example.test", "lab.test"]
    example.document["media"] = {"default": "encrypted-required", "domains": {"lab.test": "any"}}
    example.write()
    example.issue_all()
    users = Users(example.load().users_url)
    for name in ("lee", "kim"):
        users.add(f"{name}@lab.test", f"{name}-secret")
    for key in ("tel:+4930123", "sip:info@lab.test", "tel:42;phone-context=lab.test"):
        users.add_alias("bob@example.test", key)
    users.close()
    async with Network((example,), starts=(FE1, FE2)) as network:
        lee, kim = await network.phone("lee@lab.test", FE1), await network.phone("kim@lab.test", FE2)
        bob = await network.phone("bob", FE2)
        refused_for(await lee.ask(with_body(lee.request("INVITE", alias, to=f"<{alias}>"), CLEAR)))
        refused_for(await lee.ask(with_body(lee.request("INVITE", BOB, to=f"<{alias}>"), CLEAR)))
        await bob.silent()
        await lee.send(with_body(lee.request("INVITE", alias, to=f"<{alias}>"), SDES))
        came = await bob.request_in("INVITE")
        assert came.body == SDES
        await answered(bob, came, 200, CLEAR)
        refused_for(await lee.final())
        await released(bob)
        await lee.send(with_body(lee.request("INVITE", "sip:kim@lab.test"), CLEAR))
        assert (await kim.request_in("INVITE")).body == CLEAR


ANONYMOUS = "sip:anonymous@anonymous.invalid"


async def talking_in_secret(caller: Peer, callee: Peer, *, to: str | None = None) -> tuple[Dialog, Dialog]:
    """Call as a caller who hides: the dialog as the callee has it, and as the caller has it."""
    invite = caller.request("INVITE", f"sip:{callee.user}", sender=f"<{ANONYMOUS}>;tag={caller.tag}", to=to)
    await caller.send(invite)
    came = await callee.request_in("INVITE")
    await callee.reply(came, 200)
    by_caller = Dialog.of_caller(invite, await caller.final())
    await caller.send(inside_of(by_caller, caller, "ACK"))
    await callee.request_in("ACK")
    return Dialog.of_callee(came, callee.tag), by_caller


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_anonymous_name_weakens_no_call_from_inside(example: Organisation, server: str) -> None:
    """Of a hidden caller to the callee, and of a callee to whom the caller gives one. The control is in the weaker domain."""
    example.document["sip_domains"] = ["example.test", "lab.test"]
    example.document["media"] = {"default": "encrypted-required", "domains": {"lab.test": "any"}}
    example.write()
    example.issue_all()
    users = Users(example.load().users_url)
    for name in ("lee", "kim"):
        users.add(f"{name}@lab.test", f"{name}-secret")
    users.close()
    async with Network((example,), starts=(FE1, FE2)) as network:
        lee, bob = await network.phone("lee@lab.test", server), await network.phone("bob", FE1)
        kim = await network.phone("kim@lab.test", FE1)
        by_lee, _ = await talking_in_secret(bob, lee)
        refused_for(await lee.ask(with_body(inside_of(by_lee, lee, "INVITE"), CLEAR)))
        _, by_lee = await talking_in_secret(lee, bob, to=f"<{ANONYMOUS}>")
        refused_for(await lee.ask(with_body(inside_of(by_lee, lee, "INVITE"), CLEAR)))
        await bob.silent()
        by_lee, _ = await talking_in_secret(kim, lee)
        await lee.send(with_body(inside_of(by_lee, lee, "INVITE"), CLEAR))
        came = await kim.request_in("INVITE")
        await answered(kim, came, 200, CLEAR)
        assert (await lee.final()).body == CLEAR


@on_loop
async def test_policy_of_a_partner_holds_in_a_call_of_a_user_whom_it_hides(federation: Network) -> None:
    """The edge knows the partner by its link, so that the front ends leave it to the edge, in both directions."""
    with_media(federation, "encrypted-required", "any")
    example, partner = federation.organisations
    theirs = f"{PARTNER_EDGES}:{partner.ports[PARTNER_EDGE][LinkKind.PARTNER]}"
    for policy, passes in (("any", True), ("encrypted-required", False)):
        example.federate(EDGES, [partner.as_partner(edge=theirs, media=policy)])
        async with federation:
            bob, erin = await federation.phone("bob", FE1), await federation.phone("erin", PARTNER_FE)
            by_bob, by_erin = await talking_in_secret(erin, bob)
            for sender, receiver, dialog in ((bob, erin, by_bob), (erin, bob, by_erin)):
                asked = with_body(inside_of(dialog, sender, "INVITE"), CLEAR)
                if passes:
                    await sender.send(asked)
                    await answered(receiver, await receiver.request_in("INVITE"), 200, CLEAR)
                    assert (await sender.final()).body == CLEAR
                    await sender.send(inside_of(dialog, sender, "ACK"))
                    await receiver.request_in("ACK")
                else:
                    refused_for(await sender.ask(asked))


@on_loop
async def test_new_topology_changes_the_policy(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        (example,) = home.organisations
        for policy, status in (
            ("encrypted", 0),
            ("any", 0),
            ({"domains": {"example.test": "encrypted-required"}}, 488),
        ):
            example.document["media"] = policy
            example.write()
            home.nodes[FE1].put_in_force(example.load())
            await alice.send(with_body(alice.request("INVITE", BOB), CLEAR))
            if status:
                assert (await alice.final()).status == status
            else:
                came = await bob.request_in("INVITE")
                await bob.reply(came, 486)
                await bob.request_in("ACK")
                assert (await alice.final()).status == 486
