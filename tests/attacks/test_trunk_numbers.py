"""Trunks and users who use numbers that are not theirs: names inside a call, and costly numbers by a way round the classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.sip.message import Request, Response
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of
from support.tiers import wide_after
from support.trunks import (
    ALICE,
    GATEWAY,
    GATEWAYS,
    OF_PBX,
    OUTSIDE,
    PBX,
    PROVIDER,
    PlayedTrunk,
    premium_for,
    with_trunks,
)

OFFER = [("content-type", SDP)]


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    """Two trunks, and numbers that only bob may call."""
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    example.document["numbers"] = premium_for("bob")
    example.write()
    return Network((example,), starts=(FE1, GATEWAY))


def sent_by(caller: Peer, uri: str, sender: str) -> Request:
    """An INVITE with a session description."""
    return caller.request("INVITE", uri, OFFER, SDES, sender=f"{sender};tag={caller.tag}")


async def answered(caller: Peer, callee: Peer, invite: Request) -> tuple[Dialog, Dialog]:
    """Bring a call up; give the dialog of the caller and that of the callee."""
    came = await callee.request_in("INVITE")
    await callee.reply(came, 200, OFFER, SDES)
    dialog = Dialog.of_caller(invite, await caller.final())
    await caller.send(inside_of(dialog, caller, "ACK"))
    await callee.request_in("ACK")
    return dialog, Dialog.of_callee(came, callee.tag)


async def tried(caller: Peer, uri: str, sender: str) -> Response:
    """The answer to a call that is refused."""
    await caller.send(sent_by(caller, uri, sender))
    return await caller.final()


def referring(dialog: Dialog, sender: Peer, to: str) -> Request:
    """A REFER inside a call."""
    refer = inside_of(dialog, sender, "REFER")
    refer.append("refer-to", to)
    return refer


@pytest.mark.parametrize("other", [OUTSIDE, "+4930999999", "01705550100"])
@on_loop
async def test_trunk_shows_no_number_of_another_inside_its_call(network: Network, pbx: PlayedTrunk, other: str) -> None:
    """Phones show a changed From (RFC 4916). Another number of the same PBX is shown."""
    async with network, pbx:
        alice, trunk = await network.phone("alice", FE1), await pbx.opens(network)
        invite = sent_by(trunk, f"sip:{ALICE}@{GATEWAYS}", f"<sip:{OF_PBX}@{PBX}>")
        await trunk.send(invite)
        dialog, _ = await answered(trunk, alice, invite)
        for number, shown in ((other, "sip:anonymous@anonymous.invalid"), ("+49895555", f"sip:+49895555@{PBX}")):
            update = inside_of(dialog, trunk, "UPDATE")
            update.replace("from", f"<sip:{number}@{PBX}>;tag={trunk.tag}")
            await trunk.send(update)
            came = await alice.request_in("UPDATE")
            assert came.from_.uri == shown
            await alice.reply(came, 200)
            assert (await trunk.final(method="UPDATE")).status == 200


@pytest.mark.parametrize(
    "to",
    wide_after(
        3,
        [
            "<tel:+49900123456>",
            f"<sip:0900123456@{EXAMPLE}>",
            f"<sip:%2b49-900-123456@{PROVIDER}>",
            "<tel:+49(0)900123456>",
            f"<sip:+49900123456;ext=1@{EXAMPLE}>",
            f"<sip:11833@{PROVIDER}>",
            f"<sip:bob@{EXAMPLE}>, <tel:+49900123456>",
            "<sip:0900123456>",
        ],
    ),
)
@on_loop
async def test_user_refers_a_trunk_to_no_number_of_a_closed_class(
    network: Network, provider: PlayedTrunk, to: str
) -> None:
    """The trunk would call the number at our cost. A number that everyone may call passes, and a colleague."""
    async with network, provider:
        alice = await network.phone("alice", FE1)
        assert (await tried(alice, "tel:+49900123456", f"<sip:alice@{EXAMPLE}>")).status == 403
        invite = sent_by(alice, f"tel:{OUTSIDE}", f"<sip:alice@{EXAMPLE}>")
        await alice.send(invite)
        trunk = await provider.links.get()
        dialog, _ = await answered(alice, trunk, invite)
        assert (await alice.ask(referring(dialog, alice, to))).status in {400, 403}
        for rightful in ("<tel:+49-30-7654321>", f"<sip:bob@{EXAMPLE}>"):
            await alice.send(referring(dialog, alice, rightful))
            came = await trunk.request_in("REFER")
            assert came.values("refer-to") == [rightful]
            await trunk.reply(came, 202)
            assert (await alice.final(method="REFER")).status == 202


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("<tel:+49900123456>", 403),
        (f"<sip:+49900123456@{EXAMPLE};user=phone>", 403),
        (f"<sip:bob@{EXAMPLE}>, <tel:+49900123456>", 480),  # bob, who has no phone
        (f"<sip:bob@{EXAMPLE}>", 480),
    ],
)
@on_loop
async def test_phone_redirects_a_trunk_to_no_number_of_a_closed_class(
    network: Network, provider: PlayedTrunk, to: str, status: int
) -> None:
    """The call is forwarded here, with the rights of the user of the phone. The trunk gets no Contact to call."""
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        await trunk.send(sent_by(trunk, f"sip:{ALICE}@{GATEWAYS}", f"<sip:{OUTSIDE}@{PROVIDER}>"))
        came = await alice.request_in("INVITE")
        alice.contact = to
        await alice.reply(came, 302)
        final = await trunk.final()
        assert (final.status, final.contacts) == (status, [])


@on_loop
async def test_phone_redirects_a_trunk_to_a_number_that_its_user_may_call(
    network: Network, provider: PlayedTrunk
) -> None:
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        await trunk.send(sent_by(trunk, f"sip:{ALICE}@{GATEWAYS}", f"<sip:{OUTSIDE}@{PROVIDER}>"))
        came = await alice.request_in("INVITE")
        alice.contact = "<tel:+49307654321>"
        await alice.reply(came, 302)
        onward = await trunk.receive()  # the same trunk carries it
        while not isinstance(onward, Request):
            onward = await trunk.receive()
        assert onward.ruri.user == "+49307654321"
        assert onward.from_.sip_uri.user == ALICE


@pytest.mark.parametrize(
    "typed",
    [
        "tel:+49(0)900123456",
        f"sip:00490900123456@{EXAMPLE}",
        f"sip:+49%30900123456@{EXAMPLE}",
        f"sip:+490900123456@{PROVIDER}",
    ],
)
@on_loop
async def test_national_prefix_behind_the_country_evades_no_class(
    network: Network, provider: PlayedTrunk, typed: str
) -> None:
    """The number has the first digits of the class for everyone; a trunk that removes the 0 would call a premium number."""
    async with network, provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        assert (await tried(alice, typed, f"<sip:alice@{EXAMPLE}>")).status == 404
        await bob.send(sent_by(bob, f"sip:0900123456@{EXAMPLE}", f"<sip:bob@{EXAMPLE}>"))
        trunk = await provider.links.get()
        assert (await trunk.request_in("INVITE")).ruri.user == "+49900123456"


@on_loop
async def test_national_prefix_behind_the_country_makes_no_other_caller(
    network: Network, provider: PlayedTrunk
) -> None:
    """A provider does not assert the numbers of a PBX, nor +49089… in their place."""
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        for number in (OF_PBX, "+49(0)89123456", "+490893012345"):
            assert (await tried(trunk, f"sip:{ALICE}@{GATEWAYS}", f"<sip:{number}@{PROVIDER}>")).status == 403
        await trunk.send(sent_by(trunk, f"sip:{ALICE}@{GATEWAYS}", f"<sip:01705550100@{PROVIDER}>"))
        assert (await alice.request_in("INVITE")).from_.uri == f"sip:{OUTSIDE}@{PROVIDER}"
