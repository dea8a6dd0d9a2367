"""Users and trunks who free a channel while their call goes on, or never free one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.sip.message import Request
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop
from support.talking import inside_of
from support.trunks import (
    ALICE,
    GATEWAY,
    GATEWAYS,
    OF_PBX,
    OUTSIDE,
    PBX,
    PROVIDER,
    PlayedTrunk,
    with_trunks,
)

OFFER = [("content-type", SDP)]
FULL = 500
"""By the front end, in place of the 503 of the gateway."""


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    """Two trunks with one channel each, whose calls last a minute at most."""
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    federation: Any = example.document["federation"]
    for partner in federation["partners"]:
        partner["trunk"] |= {"channels": 1, "longest_call": 1}
    example.write()
    return Network((example,), starts=(FE1, GATEWAY))


def invite_of(caller: Peer, uri: str, sender: str, call_id: str | None = None) -> Request:
    """An INVITE with a session description."""
    return caller.request("INVITE", uri, OFFER, SDES, sender=f"{sender};tag={caller.tag}", call_id=call_id)


async def up(caller: Peer, callee: Peer, invite: Request) -> tuple[Dialog, Dialog]:
    """Bring a call up that was sent; give the dialog of the caller and that of the callee."""
    came = await callee.request_in("INVITE")
    await callee.reply(came, 200, OFFER, SDES)
    dialog = Dialog.of_caller(invite, await caller.final())
    await caller.send(inside_of(dialog, caller, "ACK"))
    await callee.request_in("ACK")
    return dialog, Dialog.of_callee(came, callee.tag)


async def called(alice: Peer, provider: PlayedTrunk) -> tuple[Peer, Dialog, Dialog]:
    """A call of alice to the provider that is up: the link of the trunk, and the dialog on each side."""
    invite = invite_of(alice, f"tel:{OUTSIDE}", f"<sip:alice@{EXAMPLE}>")
    await alice.send(invite)
    trunk = await provider.links.get()
    return trunk, *await up(alice, trunk, invite)


async def refused(caller: Peer, uri: str, sender: str) -> int:
    """The status of a call that is refused."""
    await caller.send(invite_of(caller, uri, sender))
    return (await caller.final()).status


async def hung_up(sender: Peer, receiver: Peer, dialog: Dialog, status: int = 200, *headers: tuple[str, str]) -> None:
    """Send a BYE that gets *status*."""
    bye = inside_of(dialog, sender, "BYE")
    for name, value in headers:
        bye.replace(name, value)
    await sender.send(bye)
    await receiver.reply(await receiver.request_in("BYE"), status)
    assert (await sender.final(method="BYE")).status == status


@pytest.mark.parametrize(
    ("status", "header"),
    [(500, ("cseq", "1 BYE")), (420, ("require", "x-unknown")), (483, ("max-forwards", "3")), (403, ("subject", "x"))],
)
@on_loop
async def test_bye_that_is_refused_frees_no_channel(
    network: Network, provider: PlayedTrunk, status: int, header: tuple[str, str]
) -> None:
    """The call goes on at the trunk (RFC 3261 section 12.2.2). The channel is free after a BYE that ends the call."""
    async with network, provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        trunk, dialog, _ = await called(alice, provider)
        await hung_up(alice, trunk, dialog, status, header)
        assert await refused(bob, f"tel:{OUTSIDE}", f"<sip:bob@{EXAMPLE}>") == FULL
        await hung_up(alice, trunk, dialog)
        await bob.send(invite_of(bob, f"tel:{OUTSIDE}", f"<sip:bob@{EXAMPLE}>"))
        assert (await trunk.request_in("INVITE")).from_.uri != f"sip:{ALICE}@{GATEWAYS};user=phone"


@pytest.mark.parametrize("status", [200, 481])
@on_loop
async def test_bye_of_either_side_that_ends_the_call_frees_its_channel(
    network: Network, provider: PlayedTrunk, status: int
) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        trunk, dialog, _ = await called(alice, provider)
        await hung_up(alice, trunk, dialog, status)
        invite = invite_of(alice, f"tel:{OUTSIDE}", f"<sip:alice@{EXAMPLE}>")
        await alice.send(invite)
        _, of_trunk = await up(alice, trunk, invite)
        await hung_up(trunk, alice, of_trunk, status)
        await alice.send(invite_of(alice, f"tel:{OUTSIDE}", f"<sip:alice@{EXAMPLE}>"))
        assert (await trunk.request_in("INVITE")).ruri.user == OUTSIDE


@on_loop
async def test_trunk_frees_no_channel_by_a_bye_that_its_callee_refuses(network: Network, pbx: PlayedTrunk) -> None:
    async with network, pbx:
        alice, trunk = await network.phone("alice", FE1), await pbx.opens(network)
        invite = invite_of(trunk, f"sip:{ALICE}@{GATEWAYS}", f"<sip:{OF_PBX}@{PBX}>")
        await trunk.send(invite)
        dialog, _ = await up(trunk, alice, invite)
        await hung_up(trunk, alice, dialog, 500, ("cseq", "1 BYE"))
        assert await refused(trunk, f"sip:{ALICE}@{GATEWAYS}", f"<sip:{OF_PBX}@{PBX}>") == 503
        await hung_up(trunk, alice, dialog)
        await trunk.send(invite_of(trunk, f"sip:{ALICE}@{GATEWAYS}", f"<sip:{OF_PBX}@{PBX}>"))
        assert (await alice.request_in("INVITE")).from_.uri == f"sip:{OF_PBX}@{PBX}"


@on_loop
async def test_second_dialog_with_the_same_call_id_has_a_channel_of_its_own(
    network: Network, provider: PlayedTrunk
) -> None:
    """Two channels: the second call fits, a third does not, and the end of one frees one."""
    partners: Any = network.organisations[0].document["federation"]
    partners["partners"][0]["trunk"] |= {"channels": 2}
    network.organisations[0].write()
    async with network, provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        trunk, dialog, _ = await called(alice, provider)
        second = invite_of(bob, f"tel:{OUTSIDE}", f"<sip:bob@{EXAMPLE}>", call_id=dialog.call_id)
        await bob.send(second)
        of_bob, _ = await up(bob, trunk, second)
        assert await refused(alice, f"tel:{OUTSIDE}", f"<sip:alice@{EXAMPLE}>") == FULL
        await hung_up(bob, trunk, of_bob)
        await bob.send(invite_of(bob, f"tel:{OUTSIDE}", f"<sip:bob@{EXAMPLE}>", call_id=dialog.call_id))
        await trunk.request_in("INVITE")
        assert await refused(alice, f"tel:{OUTSIDE}", f"<sip:alice@{EXAMPLE}>") == FULL


@pytest.mark.parametrize("is_of_trunk", [True, False])
@on_jumping_loop
async def test_call_that_no_side_ends_is_ended_on_both_sides(
    network: Network, provider: PlayedTrunk, *, is_of_trunk: bool
) -> None:
    """After the longest time that the trunk allows; the BYE reaches phone and trunk inside their dialog."""
    async with network, provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        if is_of_trunk:
            trunk = await provider.opens(network)
            invite = invite_of(trunk, f"sip:{ALICE}@{GATEWAYS}", f"<sip:{OUTSIDE}@{PROVIDER}>")
            await trunk.send(invite)
            of_trunk, of_alice = await up(trunk, alice, invite)
        else:
            trunk, of_alice, of_trunk = await called(alice, provider)
        assert await refused(bob, f"tel:{OUTSIDE}", f"<sip:bob@{EXAMPLE}>") == FULL
        await asyncio.sleep(66)
        network.nodes[GATEWAY].sweep.tick()
        for peer, dialog in ((alice, of_alice), (trunk, of_trunk)):
            bye = await peer.request_in("BYE")
            assert (bye.call_id, bye.to.tag, bye.from_.tag) == (dialog.call_id, tag(dialog.local), tag(dialog.remote))
            assert "Longer than allowed" in bye.values("reason")[0]
            await peer.reply(bye, 200)
        await bob.send(invite_of(bob, f"tel:{OUTSIDE}", f"<sip:bob@{EXAMPLE}>"))
        found = trunk if not is_of_trunk or provider.links.empty() else await provider.links.get()
        assert (await found.request_in("INVITE")).ruri.user == OUTSIDE


def tag(address: str) -> str:
    """The tag of a From or To."""
    return address.partition(";tag=")[2]
