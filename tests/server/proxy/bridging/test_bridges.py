"""Calls through a trunk whose media are in the clear, by a real rtpengine: what each side is offered, and who is refused."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interop.rtpengine import Rtpengine
from scenarios.test_trunks import OFFER, TO_ALICE, invited
from sipmesh.cli.versions import built
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.bridging.bridges import MOST_EARLY
from sipmesh.server.proxy.rtpengine import control_socket
from sipmesh.sip.message import Request, Response
from support.descriptions import CLEAR, SDES, with_body
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_loop, until
from support.talking import inside_of
from support.trunks import GATEWAY, OF_PBX, OUTSIDE, PROVIDER, PlayedTrunk, with_trunks

pytestmark = pytest.mark.peer("rtpengine")

TO_OUTSIDE, TO_PBX = f"sip:{OUTSIDE}@{EXAMPLE}", f"sip:{OF_PBX}@{EXAMPLE}"
FROM_ALICE = f"<sip:alice@{EXAMPLE}>"


@pytest.fixture(name="rtpengine")
def _rtpengine(tmp_path: Path) -> Iterator[Rtpengine]:
    with Rtpengine(tmp_path / "rtpengine") as rtpengine:
        yield rtpengine


@pytest.fixture(name="network")
def _network(
    trunk_models: dict[str, Organisation],
    provider: PlayedTrunk,
    pbx: PlayedTrunk,
    rtpengine: Rtpengine,
    tmp_path: Path,
) -> Network:
    """The provider has RTP in the clear only; the PBX keys its media itself."""
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    document: dict[str, Any] = example.document
    document["pools"][1]["rtpengine"] = rtpengine.port
    document["federation"]["partners"][0]["trunk"]["keying"] = "none"
    example.write()
    return Network((example,), starts=(FE1, GATEWAY))


def clear(port: int) -> bytes:
    """A session description without keys, whose media come to *port*."""
    return re.sub(rb"m=audio \d+", b"m=audio %d" % port, CLEAR, count=1)


def media_of(message: Request | Response) -> tuple[str, int, int]:
    """The profile and the port of a description, and how many keys it has."""
    found = re.search(rb"m=audio (\d+) (\S+)", message.body)
    assert found is not None
    return found[2].decode(), int(found[1]), message.body.count(b"a=crypto:") + message.body.count(b"a=fingerprint:")


def a_port() -> socket.socket:
    found = socket.socket(type=socket.SOCK_DGRAM)
    found.bind(("127.0.0.1", 0))
    found.settimeout(10)
    return found


async def answered(caller: Peer, callee: Peer, invite: Request, answer: bytes) -> tuple[Request, Response]:
    """Answer a call; give the INVITE at the callee, and the answer at the caller."""
    came = await callee.request_in("INVITE")
    await callee.reply(came, 200, OFFER, answer)
    final = await caller.final()
    if final.status == 200:
        await caller.send(inside_of(Dialog.of_caller(invite, final), caller, "ACK"))
        await callee.request_in("ACK")
    return came, final


async def hung_up(ender: Peer, other: Peer, dialog: Dialog) -> None:
    await ender.send(inside_of(dialog, ender, "BYE"))
    await other.reply(await other.request_in("BYE"), 200)
    assert (await ender.final(method="BYE")).status == 200


async def freed(rtpengine: Rtpengine, calls: int = 0) -> None:
    """Wait until rtpengine has so many calls."""
    async with asyncio.timeout(20):
        while await asyncio.to_thread(rtpengine.calls) != calls:
            await asyncio.sleep(0.05)


@on_loop
async def test_trunk_without_keys_is_called_and_the_phone_has_srtp(
    network: Network, provider: PlayedTrunk, rtpengine: Rtpengine
) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        invite = await invited(alice, TO_OUTSIDE, FROM_ALICE)
        trunk = await provider.links.get()
        with a_port() as media:
            came, final = await answered(alice, trunk, invite, clear(media.getsockname()[1]))
            assert media_of(came)[::2] == ("RTP/AVP", 0)
            profile, _, keys = media_of(final)
            assert (profile, keys) == ("RTP/SAVP", 1)
        await freed(rtpengine, 1)
        await hung_up(alice, trunk, Dialog.of_caller(invite, final))
        await freed(rtpengine)


@on_loop
async def test_trunk_without_keys_calls_and_the_phone_is_offered_srtp(
    network: Network, provider: PlayedTrunk, rtpengine: Rtpengine
) -> None:
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        invite = trunk.request("INVITE", TO_ALICE, OFFER, CLEAR, sender=f"<sip:{OUTSIDE}@{PROVIDER}>;tag={trunk.tag}")
        await trunk.send(invite)
        came, final = await answered(trunk, alice, invite, SDES)
        assert media_of(came)[0] == "RTP/SAVP"
        assert media_of(came)[2] > 1
        assert media_of(final)[::2] == ("RTP/AVP", 0)
        again = with_body(inside_of(Dialog.of_callee(came, alice.tag), alice, "INVITE"), SDES)
        await alice.send(again)
        asked = await trunk.request_in("INVITE")
        assert media_of(asked)[::2] == ("RTP/AVP", 0)
        await trunk.reply(asked, 200, OFFER, CLEAR)
        assert media_of(await alice.final())[::2] == ("RTP/SAVP", 1)
        await hung_up(trunk, alice, Dialog.of_caller(invite, final))
        await freed(rtpengine)


@on_loop
async def test_records_say_that_the_media_are_not_encrypted(network: Network, provider: PlayedTrunk) -> None:
    network.organisations[0].document["call_records"] = {"days": 30}
    network.organisations[0].write()
    async with network, provider:
        alice = await network.phone("alice", FE1)
        invite = await invited(alice, TO_OUTSIDE, FROM_ALICE)
        trunk = await provider.links.get()
        await answered(alice, trunk, invite, CLEAR)
        told = [str(call.entry.head) for call in network.nodes[FE1].relay.calls.records.up.by_key.values()]
        assert ['"none"' in one for one in told] == [True]


@on_loop
async def test_record_of_a_call_from_the_trunk_says_so_too(network: Network, provider: PlayedTrunk) -> None:
    network.organisations[0].document["call_records"] = {"days": 30}
    network.organisations[0].write()
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        sender = f"<sip:{OUTSIDE}@{PROVIDER}>;tag={trunk.tag}"
        await trunk.send(invite := trunk.request("INVITE", TO_ALICE, OFFER, CLEAR, sender=sender))
        await answered(trunk, alice, invite, SDES)
        told = [str(call.entry.head) for call in network.nodes[GATEWAY].relay.calls.records.up.by_key.values()]
        assert ['"none"' in one for one in told] == [True]


@on_loop
async def test_phone_cannot_offer_media_in_the_clear_to_the_trunk_without_keys(
    network: Network, provider: PlayedTrunk
) -> None:
    """Also where the policy of our users is `any`: the exception is that of the trunk's side."""
    network.organisations[0].document["media"] = "any"
    network.organisations[0].write()
    async with network, provider:
        alice = await network.phone("alice", FE1)
        await alice.send(alice.request("INVITE", TO_OUTSIDE, OFFER, CLEAR, sender=f"{FROM_ALICE};tag={alice.tag}"))
        assert (await alice.final()).status == 488
        assert provider.links.empty()


@on_loop
async def test_phone_that_answers_in_the_clear_is_hung_up(network: Network, provider: PlayedTrunk) -> None:
    network.organisations[0].document["media"] = "any"
    network.organisations[0].write()
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        sender = f"<sip:{OUTSIDE}@{PROVIDER}>;tag={trunk.tag}"
        await trunk.send(trunk.request("INVITE", TO_ALICE, OFFER, CLEAR, sender=sender))
        await alice.reply(await alice.request_in("INVITE"), 200, OFFER, CLEAR)
        assert (await trunk.final()).status == 488
        assert not (await alice.request_in("ACK")).body
        assert "cause=488" in str((await alice.request_in("BYE")).first("reason"))


@on_loop
async def test_other_trunk_gets_the_offer_as_it_was_made(network: Network, pbx: PlayedTrunk) -> None:
    async with network, pbx:
        alice = await network.phone("alice", FE1)
        invite = await invited(alice, TO_PBX, FROM_ALICE)
        came, final = await answered(alice, trunk := await pbx.links.get(), invite, SDES)
        assert (came.body, final.body) == (SDES, SDES)
        await hung_up(alice, trunk, Dialog.of_caller(invite, final))


@on_loop
async def test_call_that_is_taken_back_frees_its_ports(
    network: Network, provider: PlayedTrunk, rtpengine: Rtpengine
) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        await invited(alice, TO_OUTSIDE, FROM_ALICE)
        trunk = await provider.links.get()
        await trunk.reply(await trunk.request_in("INVITE"), 486)
        assert (await alice.final()).status == 486
        await freed(rtpengine)


@on_loop
async def test_without_rtpengine_calls_that_need_it_are_refused_and_others_go_on(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk, rtpengine: Rtpengine
) -> None:
    async with network, provider, pbx:
        alice = await network.phone("alice", FE1)
        rtpengine.kill()
        try:
            await invited(alice, TO_OUTSIDE, FROM_ALICE)
            final = await alice.final()
            assert final.status == 500
            assert "media" in str(final.first("warning"))
            invite = await invited(alice, TO_PBX, FROM_ALICE)
            assert (await answered(alice, await pbx.links.get(), invite, SDES))[1].status == 200
        finally:
            rtpengine.start()


@on_loop
async def test_calls_of_an_rtpengine_that_has_died_are_ended_on_both_sides(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk, rtpengine: Rtpengine
) -> None:
    """It is up again at once, and has forgotten its calls. A call that did without it goes on."""
    async with network, provider, pbx:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        first = await invited(alice, TO_OUTSIDE, FROM_ALICE)
        trunk = await provider.links.get()
        await answered(alice, trunk, first, CLEAR)
        other = await invited(bob, TO_PBX, f"<sip:bob@{EXAMPLE}>")
        _, final = await answered(bob, at_pbx := await pbx.links.get(), other, SDES)
        rtpengine.kill()
        rtpengine.start()
        gateway = network.nodes[GATEWAY]
        gateway.sweep.tick()
        await until(lambda: gateway.relay.calls.bridges.control.failed)
        gateway.sweep.tick()
        for side in (alice, trunk):
            bye = await side.request_in("BYE")
            assert 'text="Media lost"' in str(bye.first("reason"))
            await side.reply(bye, 200)
        await hung_up(bob, at_pbx, Dialog.of_caller(other, final))


@pytest.mark.skipif(built() == "compiled", reason="compiled code has constants in it")
@on_loop
async def test_commands_that_cannot_wait_end_no_call(
    network: Network, provider: PlayedTrunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trunk sends more calls than may wait for rtpengine. That says nothing about the calls that are up."""
    async with network, provider:
        alice = await network.phone("alice", FE1)
        invite = await invited(alice, TO_OUTSIDE, FROM_ALICE)
        trunk = await provider.links.get()
        _, final = await answered(alice, trunk, invite, CLEAR)
        with monkeypatch.context() as full:
            full.setattr(control_socket, "MOST_WAITING", 0)
            network.nodes[GATEWAY].sweep.tick()
            network.nodes[GATEWAY].sweep.tick()
            await invited(bob := await network.phone("bob", FE1), TO_OUTSIDE, f"<sip:bob@{EXAMPLE}>")
            assert (await bob.final()).status == 500
        await hung_up(alice, trunk, Dialog.of_caller(invite, final))


@pytest.mark.skipif(built() == "compiled", reason="compiled code has constants in it")
@on_loop
async def test_trunk_that_fills_its_room_leaves_room_for_the_calls_of_users(
    network: Network, provider: PlayedTrunk, rtpengine: Rtpengine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands wait, since rtpengine is frozen. Without rooms of their own, the trunk would have taken that of all others."""
    monkeypatch.setattr(control_socket, "MOST_WAITING", 8)
    monkeypatch.setattr(control_socket, "RESENT_S", 60.0)
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        control = network.nodes[GATEWAY].relay.calls.bridges.control
        with rtpengine.frozen():
            for _ in range(8):
                sender = f"<sip:{OUTSIDE}@{PROVIDER}>;tag={trunk.tag}"
                await trunk.send(trunk.request("INVITE", TO_ALICE, OFFER, CLEAR, sender=sender))
            await told(trunk, 500)
            assert max(control._of_senders.values()) <= 4
            await invited(alice, TO_OUTSIDE, FROM_ALICE)
            await until(lambda: len(control._of_senders) == 2)
        while not isinstance(came := await trunk.receive(), Request):
            pass
        assert (came.method, media_of(came)[0]) == ("INVITE", "RTP/AVP")


async def told(caller: Peer, status: int) -> None:
    """Wait for a response with *status*."""
    while not (isinstance(came := await caller.receive(), Response) and came.status == status):
        pass


@on_loop
async def test_trunk_that_rings_by_many_tags_fills_no_table(network: Network, provider: PlayedTrunk) -> None:
    """Each tag is a dialog that an UPDATE could name. The call is answered by one of them, all the same."""
    async with network, provider:
        alice = await network.phone("alice", FE1)
        invite = await invited(alice, TO_OUTSIDE, FROM_ALICE)
        trunk = await provider.links.get()
        came = await trunk.request_in("INVITE")
        tag = trunk.tag
        for number in range(MOST_EARLY + 5):
            trunk.tag = f"{tag}{number}"
            await trunk.reply(came, 183, OFFER, CLEAR)
            await told(alice, 183)
        await trunk.reply(came, 200, OFFER, CLEAR)
        final = await alice.final()
        await alice.send(inside_of(Dialog.of_caller(invite, final), alice, "ACK"))
        await trunk.request_in("ACK")
        assert len(network.nodes[GATEWAY].relay.calls.bridges) == MOST_EARLY + 1
        await hung_up(alice, trunk, Dialog.of_caller(invite, final))


@on_loop
async def test_second_call_with_the_same_call_id_and_tags_changes_no_media_of_the_first(
    network: Network, provider: PlayedTrunk, rtpengine: Rtpengine
) -> None:
    """Bob has seen the INVITE of alice, and sends one like it: rtpengine gets a key that no phone can choose."""
    async with network, provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        invite = await invited(alice, TO_OUTSIDE, FROM_ALICE)
        trunk = await provider.links.get()
        _, final = await answered(alice, trunk, invite, CLEAR)
        copied = bob.request("INVITE", TO_OUTSIDE, OFFER, SDES, sender=f"<sip:bob@{EXAMPLE}>;tag={invite.from_.tag}")
        copied.replace("call-id", invite.call_id)
        await bob.send(copied)
        trunk.tag = "other"
        _, second = await answered(bob, trunk, copied, CLEAR)
        await freed(rtpengine, 2)
        await hung_up(bob, trunk, Dialog.of_caller(copied, second))
        await freed(rtpengine, 1)
        await hung_up(alice, trunk, Dialog.of_caller(invite, final))
        await freed(rtpengine)


@on_loop
async def test_no_side_has_rtpengine_send_to_its_own_host(
    network: Network, provider: PlayedTrunk, rtpengine: Rtpengine
) -> None:
    """It would take the media as commands, and send its replies to the other side. Media to other hosts pass."""
    document: Any = network.organisations[0].document
    server = document["pools"][1]["servers"][0]
    server |= {"bind": server["address"], "address": "0.0.0.0"}  # noqa: S104 - no address of loopback, and the same host
    network.organisations[0].write()
    here = b"IN IP4 127.0.0.1"
    async with network, provider:
        alice = await network.phone("alice", FE1)
        control = b"m=audio %d" % rtpengine.port
        to_itself = SDES.replace(b"IN IP4 192.0.2.7\r\nt=", here + b"\r\nt=").replace(b"m=audio 5004", control)
        for offer in (to_itself, SDES + b"a=rtcp:%d %b\r\n" % (rtpengine.port, here)):
            invite = alice.request("INVITE", TO_OUTSIDE, OFFER, offer, sender=f"{FROM_ALICE};tag={alice.tag}")
            await alice.send(invite)
            assert (await alice.final()).status == 488
        invite = await invited(alice, TO_OUTSIDE, FROM_ALICE)
        trunk = await provider.links.get()
        _, final = await answered(alice, trunk, invite, CLEAR.replace(b"192.0.2.7", b"127.0.0.1"))
        assert final.status == 488
        for method in ("ACK", "BYE"):
            ended = await trunk.request_in(method)
        await trunk.reply(ended, 200)
        invite = await invited(alice, TO_OUTSIDE, FROM_ALICE)
        assert (await answered(alice, trunk, invite, CLEAR))[1].status == 200
