"""Calls between our users and telephone trunks, over TLS: who may assert which number, and what each side sees."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.proxy.branch_kinds import SILENT_S
from sipmesh.server.admin.status_report import peer_faults
from sipmesh.server.management.remedies import remedy_of
from sipmesh.server.proxy.calls import call_bounds
from sipmesh.server.proxy.calls.call_bounds import MOST_FORWARDED, MOST_OF_CALLER
from sipmesh.server.proxy.liveness.trunk_outages import REFUSED_BY
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.sip.message import Request, Response
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.call_rules import rules
from support.descriptions import SDES, SDP
from support.network import BEGAN, EXAMPLE, FE1, Network
from support.peer import HungUpError, Peer
from support.running import on_jumping_loop, on_loop, until
from support.talking import inside_of
from support.trunks import (
    ALICE,
    BOB,
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
TO_ALICE = f"sip:{ALICE}@{GATEWAYS}"


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    return Network((example,), starts=(FE1, GATEWAY))


async def invited(peer: Peer, uri: str, sender: str, *headers: tuple[str, str]) -> Request:
    """An INVITE with a session description, sent by *peer*."""
    invite = peer.request("INVITE", uri, [*OFFER, *headers], SDES, sender=f"{sender};tag={peer.tag}")
    await peer.send(invite)
    return invite


async def refused(peer: Peer, uri: str, sender: str, *headers: tuple[str, str]) -> int:
    """The status of a call that is refused."""
    await invited(peer, uri, sender, *headers)
    return (await peer.final()).status


async def talk(caller: Peer, callee: Peer, invite: Request) -> tuple[Request, Response]:
    """Answer a call, and end it from the side of the callee; give the INVITE at the callee, and the answer at the caller."""
    came = await callee.request_in("INVITE")
    await callee.reply(came, 200, OFFER, SDES)
    final = await caller.final()
    assert final.status == 200
    await caller.send(inside_of(Dialog.of_caller(invite, final), caller, "ACK"))
    assert (await callee.request_in("ACK")).method == "ACK"
    bye = inside_of(Dialog.of_callee(came, callee.tag), callee, "BYE")
    await callee.send(bye)
    await caller.reply(await caller.request_in("BYE"), 200)
    assert (await callee.final(method="BYE")).status == 200
    return came, final


@on_loop
async def test_trunk_calls_a_user_by_number_and_is_shown_as_the_trunk(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        sender = f'"Chief" <sip:{OUTSIDE}@198.51.100.7>'
        invite = await invited(trunk, TO_ALICE, sender, ("p-asserted-identity", f"<tel:{OUTSIDE}>"))
        came, final = await talk(trunk, alice, invite)
        assert came.from_.uri == f"sip:{OUTSIDE}@{PROVIDER}"
        assert came.values("p-asserted-identity") == [f"<sip:{OUTSIDE}@{PROVIDER}>"]
        assert b"Chief" not in b"".join(came.lines)
        assert final.from_.uri == invite.from_.uri
        assert final.to.uri == invite.to.uri
        assert final.contacts[0].sip_uri.host == GATEWAYS


@on_loop
async def test_user_calls_through_the_trunk_with_its_number_alone(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        invite = await invited(alice, f"sip:{OUTSIDE}@{EXAMPLE}", f"<sip:alice@{EXAMPLE}>")
        trunk = await provider.links.get()
        came, final = await talk(alice, trunk, invite)
        assert came.ruri.aor == f"sip:{OUTSIDE}@{PROVIDER}"
        assert came.from_.uri == f"sip:{ALICE}@{GATEWAYS};user=phone"
        assert came.values("p-asserted-identity") == [f"<sip:{ALICE}@{GATEWAYS};user=phone>"]
        assert came.contacts[0].sip_uri.host == GATEWAYS
        assert b"alice" not in b"".join(came.lines)
        assert final.to.uri == invite.to.uri


@pytest.mark.parametrize("uri", [f"tel:{OUTSIDE}", f"sip:+49-170-5550100@{EXAMPLE}", f"sip:{OUTSIDE}@{PROVIDER}"])
@on_loop
async def test_user_may_write_a_number_in_each_form(network: Network, provider: PlayedTrunk, uri: str) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        invite = await invited(alice, uri, f"<sip:alice@{EXAMPLE}>")
        came, _ = await talk(alice, await provider.links.get(), invite)
        assert came.ruri.user == OUTSIDE


@pytest.mark.parametrize(
    "uri", [f"tel:{ALICE}", f"sip:{ALICE}@127.0.0.1:PORT", f"sip:{ALICE}@{EXAMPLE}", f"sip:alice@{GATEWAYS}"]
)
@on_loop
async def test_trunk_calls_a_user_at_each_name_of_the_gateway(
    network: Network, provider: PlayedTrunk, uri: str
) -> None:
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        port = network.address(GATEWAY, LinkKind.PARTNER)[1]
        invite = await invited(trunk, uri.replace("PORT", str(port)), f"<sip:{OUTSIDE}@198.51.100.7>")
        await talk(trunk, alice, invite)


@on_loop
async def test_trunk_cannot_call_another_host_through_the_gateway(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        trunk = await provider.opens(network)
        assert await refused(trunk, f"sip:{ALICE}@198.51.100.9", f"<sip:{OUTSIDE}@{PROVIDER}>") == 404


@pytest.mark.parametrize(
    ("sender", "asserted"),
    [
        (f"<sip:alice@{EXAMPLE}>", ""),
        (f"<sip:alice@{PROVIDER}>", ""),
        (f"<sip:{BOB}@{PROVIDER}>", ""),
        (f"<sip:{OF_PBX}@{PROVIDER}>", ""),
        (f"<sip:112@{PROVIDER}>", ""),
        ("<tel:112;phone-context=+49>", ""),
        (f"<sip:+49112@{PROVIDER}>", ""),
        (f"<sip:{OUTSIDE}@{PROVIDER}>", f"<sip:alice@{EXAMPLE}>"),
        (f"<sip:{OUTSIDE}@{PROVIDER}>", f"<sip:{BOB}@{EXAMPLE}>"),
        (f"<sip:{OUTSIDE}@{PROVIDER}>", f"<tel:{OF_PBX}>"),
        (f"<sip:{OF_PBX}@{PROVIDER}>", f"<tel:{OUTSIDE}>"),
        ("<sip:anonymous@anonymous.invalid>", f"<tel:{OF_PBX}>"),
        (f"<sip:{OUTSIDE}@{PROVIDER}>", f"<tel:{OUTSIDE}>, <sip:+491705550199@{PROVIDER}>"),
    ],
)
@on_loop
async def test_trunk_asserts_no_user_and_no_number_outside_its_ranges(
    network: Network, provider: PlayedTrunk, sender: str, asserted: str
) -> None:
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        headers = [("p-asserted-identity", asserted)] if asserted else []
        assert await refused(trunk, TO_ALICE, sender, *headers) == 403
        invite = await invited(trunk, TO_ALICE, f"<sip:{OUTSIDE}@{PROVIDER}>")
        await talk(trunk, alice, invite)


@on_loop
async def test_pbx_asserts_its_own_numbers(network: Network, pbx: PlayedTrunk) -> None:
    async with network, pbx:
        alice, trunk = await network.phone("alice", FE1), await pbx.opens(network)
        assert await refused(trunk, TO_ALICE, f"<sip:{OUTSIDE}@{PBX}>") == 403
        came, _ = await talk(trunk, alice, await invited(trunk, TO_ALICE, f"<sip:{OF_PBX}@{PBX}>"))
        assert came.from_.uri == f"sip:{OF_PBX}@{PBX}"


@on_loop
async def test_caller_who_is_withheld_by_the_trunk_stays_so_to_the_end(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        hidden = [("p-asserted-identity", f"<tel:{OUTSIDE}>"), ("privacy", "id")]
        for sender in (f"<sip:{OUTSIDE}@{PROVIDER}>", "<sip:anonymous@anonymous.invalid>"):
            before = len(alice.heard)
            await talk(trunk, alice, await invited(trunk, TO_ALICE, sender, *hidden))
            assert OUTSIDE.encode() not in alice.heard[before:]


@on_loop
async def test_user_who_withholds_its_number_is_asserted_to_the_trunk_with_privacy(
    network: Network, provider: PlayedTrunk
) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        trunk = await provider.opens(network)
        for sender, headers in ((f"<sip:alice@{EXAMPLE}>", [("privacy", "id")]), ("<sip:a@anonymous.invalid>", [])):
            invite = await invited(alice, f"sip:{OUTSIDE}@{EXAMPLE}", sender, *headers)
            came, _ = await talk(alice, trunk, invite)
            assert came.from_.uri == "sip:anonymous@anonymous.invalid"
            assert came.values("p-asserted-identity") == [f"<sip:{ALICE}@{GATEWAYS};user=phone>"]
            assert came.values("privacy") == ["id"]


@on_loop
async def test_user_without_a_number_calls_only_through_a_trunk_with_a_main_number(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    async with network, provider, pbx:
        carol = await network.phone("carol", FE1)
        assert await refused(carol, f"tel:{OUTSIDE}", f"<sip:carol@{EXAMPLE}>") == 403
        invite = await invited(carol, "tel:+4989123499", f"<sip:carol@{EXAMPLE}>")
        came, _ = await talk(carol, await pbx.links.get(), invite)
        assert came.from_.uri == f"sip:{OF_PBX}@{GATEWAYS};user=phone"


@pytest.mark.parametrize("number", [BOB, OUTSIDE, OF_PBX])
@on_loop
async def test_user_asserts_no_number_of_another(network: Network, provider: PlayedTrunk, number: str) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        assert await refused(alice, f"tel:{OUTSIDE}", f"<sip:{number}@{EXAMPLE}>") in {403, 407}
        preferred = ("p-preferred-identity", f"<sip:{number}@{EXAMPLE}>"), ("p-asserted-identity", f"<tel:{number}>")
        invite = await invited(alice, f"tel:{OUTSIDE}", f"<sip:alice@{EXAMPLE}>", *preferred)
        came, _ = await talk(alice, await provider.links.get(), invite)
        assert came.values("p-asserted-identity") == [f"<sip:{ALICE}@{GATEWAYS};user=phone>"]


@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE", "REFER", "NOTIFY", "PUBLISH", "REGISTER", "FOO"])
@on_loop
async def test_trunk_sends_nothing_but_calls(network: Network, provider: PlayedTrunk, method: str) -> None:
    async with network, provider:
        trunk = await provider.opens(network)
        asked = trunk.request(method, TO_ALICE, [("event", "presence"), ("refer-to", "<tel:+49900123456>")])
        assert (await trunk.ask(asked)).status in {405, 481}
        assert (await trunk.ask(trunk.request("OPTIONS", f"sip:{GATEWAYS}"))).status == 200


@on_loop
async def test_trunk_does_not_call_out_through_another_trunk(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    async with network, provider, pbx:
        trunk = await pbx.opens(network)
        assert await refused(trunk, f"sip:{OUTSIDE}@{GATEWAYS}", f"<sip:{OF_PBX}@{PBX}>") == 403
        assert provider.links.empty()


@on_loop
async def test_trunk_ends_no_call_of_another_trunk(network: Network, provider: PlayedTrunk, pbx: PlayedTrunk) -> None:
    async with network, provider, pbx:
        alice, trunk, other = await network.phone("alice", FE1), await provider.opens(network), await pbx.opens(network)
        invite = await invited(trunk, TO_ALICE, f"<sip:{OUTSIDE}@{PROVIDER}>")
        came = await alice.request_in("INVITE")
        await alice.reply(came, 200, OFFER, SDES)
        dialog = Dialog.of_caller(invite, await trunk.final())
        await trunk.send(inside_of(dialog, trunk, "ACK"))
        await alice.request_in("ACK")
        await other.send(inside_of(dialog, other, "BYE"))
        assert (await other.final()).status in {403, 481}
        refer = inside_of(dialog, trunk, "REFER")
        refer.append("refer-to", "<tel:+49900123456>")
        assert (await trunk.ask(refer)).status == 405
        await trunk.send(inside_of(dialog, trunk, "BYE"))
        await alice.reply(await alice.request_in("BYE"), 200)
        assert (await trunk.final()).status == 200


@pytest.mark.parametrize(
    "uri",
    [
        f"sip:+49170555abc@{EXAMPLE}",
        f"sip:+{'1' * 10_000}@{EXAMPLE}",
        f"sip:+49170555%300100%0d%0aX@{EXAMPLE}",
        f"tel:{OUTSIDE};isub=1234",
        f"tel:{OUTSIDE};phone-context=+49900",
        f"sip:{OUTSIDE};phone-context=evil.test@{EXAMPLE}",
        "tel:0170;phone-context=+49",
        f"sip:+0491705550100@{EXAMPLE}",
        f"sip:+49112@{EXAMPLE}",
    ],
)
@on_loop
async def test_dial_string_that_is_no_plain_number_reaches_no_trunk(
    network: Network, provider: PlayedTrunk, uri: str
) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        assert await refused(alice, uri, f"<sip:alice@{EXAMPLE}>") in {400, 404, 414}
        assert provider.links.empty()


@on_loop
async def test_certificate_of_one_trunk_is_worth_nothing_at_another(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    """The PBX presents a certificate of its own CA with the name of the provider."""
    forged = pbx.organisation.ca.issue((PROVIDER,), Role.EDGE, BEGAN)
    forged.write(*pbx.organisation.credentials("forged"))
    async with network, provider, pbx:
        address = network.address(GATEWAY, LinkKind.PARTNER)
        peer = await Peer.open(address, "x@y.test", pbx.organisation.credentials("forged"))
        with pytest.raises(HungUpError):
            await peer.ask(peer.request("OPTIONS", f"sip:{GATEWAYS}"))
        trunk = await provider.opens(network)
        assert (await trunk.ask(trunk.request("OPTIONS", f"sip:{GATEWAYS}"))).status == 200


@on_loop
async def test_call_goes_to_the_next_trunk_if_the_first_one_is_away(network: Network, provider: PlayedTrunk) -> None:
    """The PBX has more of the digits, and is tried first."""
    async with network, provider:
        alice = await network.phone("alice", FE1)
        invite = await invited(alice, f"tel:{OF_PBX}", f"<sip:alice@{EXAMPLE}>")
        came, _ = await talk(alice, await provider.links.get(), invite)
        assert came.ruri.host == PROVIDER


@pytest.mark.parametrize("status", [408, 503])
@on_loop
async def test_call_goes_to_the_next_trunk_if_the_first_one_fails(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk, status: int
) -> None:
    async with network, provider, pbx:
        alice = await network.phone("alice", FE1)
        invite = await invited(alice, f"tel:{OF_PBX}", f"<sip:alice@{EXAMPLE}>")
        first = await pbx.links.get()
        await first.reply(await first.request_in("INVITE"), status)
        assert (await first.request_in("ACK")).method == "ACK"
        trunk = await provider.links.get()
        came, _ = await talk(alice, trunk, invite)
        assert came.ruri.host == PROVIDER
        again, _ = await talk(alice, trunk, await invited(alice, f"tel:{OF_PBX}", f"<sip:alice@{EXAMPLE}>"))
        assert again.ruri.host == PROVIDER  # the trunk that has failed is tried last for a while


@on_jumping_loop
async def test_call_goes_to_the_next_trunk_if_the_first_one_is_silent(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    async with network, provider, pbx:
        alice = await network.phone("alice", FE1)
        invite = await invited(alice, f"tel:{OF_PBX}", f"<sip:alice@{EXAMPLE}>")
        first = await pbx.links.get()
        tried = await first.request_in("INVITE")
        await asyncio.sleep(SILENT_S + 1)
        network.nodes[GATEWAY].sweep.tick()
        trunk = await provider.links.get()
        await first.reply(tried, 180)
        await first.reply(await first.request_in("CANCEL"), 200)
        await first.reply(tried, 487)
        came, _ = await talk(alice, trunk, invite)
        assert came.ruri.host == PROVIDER


@pytest.mark.parametrize("status", [404, 486, 603])
@on_loop
async def test_answer_of_the_number_ends_the_search(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk, status: int
) -> None:
    async with network, provider, pbx:
        alice = await network.phone("alice", FE1)
        await invited(alice, f"tel:{OF_PBX}", f"<sip:alice@{EXAMPLE}>")
        first = await pbx.links.get()
        await first.reply(await first.request_in("INVITE"), status)
        assert (await alice.final()).status == status
        assert provider.links.empty()


NUMBERS = {
    "country": "49",
    "emergency": ["112"],
    "classes": [
        {"name": "foreign", "numbers": ["+"], "users": [f"alice@{EXAMPLE}"]},
        {"name": "home", "numbers": ["+49"], "everyone": True},
        {"name": "premium", "numbers": ["+49900"]},
    ],
}


def with_numbers(network: Network, **numbers: object) -> Network:
    """Say how users call numbers; before the start."""
    network.organisations[0].document["numbers"] = numbers
    network.organisations[0].write()
    return network


@pytest.mark.parametrize(
    "typed", ["01705550100", "0170-5550100", "00491705550100", "tel:0170-5550100;phone-context=x.test"]
)
@on_loop
async def test_national_number_is_completed(network: Network, provider: PlayedTrunk, typed: str) -> None:
    async with with_numbers(network, country="49"), provider:
        alice = await network.phone("alice", FE1)
        uri = typed if ":" in typed else f"sip:{typed}@{EXAMPLE}"
        invite = await invited(alice, uri, f"<sip:alice@{EXAMPLE}>")
        came, _ = await talk(alice, await provider.links.get(), invite)
        assert came.ruri.user == OUTSIDE
        assert await refused(alice, f"sip:1705550100@{EXAMPLE}", f"<sip:alice@{EXAMPLE}>") == 404


@on_loop
async def test_national_number_of_a_user_reaches_the_user_from_inside_and_outside(
    network: Network, provider: PlayedTrunk
) -> None:
    async with with_numbers(network, country="49"), provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        await talk(alice, bob, await invited(alice, f"sip:03012346@{EXAMPLE}", f"<sip:alice@{EXAMPLE}>"))
        trunk = await provider.opens(network)
        came, _ = await talk(trunk, bob, await invited(trunk, f"sip:03012346@{GATEWAYS}", "<sip:01705550100@x.test>"))
        assert came.from_.uri == f"sip:{OUTSIDE}@{PROVIDER}"
        assert await refused(trunk, f"sip:03012346@{GATEWAYS}", "<sip:03012345@x.test>") == 403


@on_loop
async def test_class_of_a_number_says_who_may_call_it(network: Network, provider: PlayedTrunk) -> None:
    async with with_numbers(network, **{**NUMBERS, "emergency": []}), provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        invite = await invited(alice, "tel:+4312345678", f"<sip:alice@{EXAMPLE}>")
        await talk(alice, await provider.links.get(), invite)
        for typed in (
            "tel:+4312345678",
            "tel:+49900123456",
            f"sip:0900123456@{EXAMPLE}",
            f"sip:004312345678@{EXAMPLE}",
        ):
            assert await refused(bob, typed, f"<sip:bob@{EXAMPLE}>") == 403
        assert await refused(alice, "tel:+49900123456", f"<sip:alice@{EXAMPLE}>") == 403


@pytest.mark.parametrize(
    "typed", [f"sip:112@{EXAMPLE}", "tel:112;phone-context=+49", f"sip:1-1-2@{EXAMPLE};user=phone"]
)
@on_loop
async def test_emergency_call_is_hindered_by_no_class_no_user_and_no_missing_number(
    network: Network, provider: PlayedTrunk, typed: str
) -> None:
    """A user has the name and the number 112; carol has no number, and no class for any."""
    example = network.organisations[0]
    partners: Any = example.document["federation"]
    partners["partners"][0]["trunk"] = {"gateway": GATEWAYS, "emergency": True}
    classes = [{"name": "all", "numbers": ["+"]}]
    with_numbers(network, emergency=["112"], classes=classes, country="49")
    example.add_users("112")
    async with network, provider:
        carol, squatter = await network.phone("carol", FE1), await network.phone("112", FE1)
        invite = await invited(carol, typed, f"<sip:carol@{EXAMPLE}>")
        came, _ = await talk(carol, await provider.links.get(), invite)
        assert came.ruri.aor == f"sip:112@{PROVIDER}"
        await squatter.silent()
        assert await refused(carol, f"tel:{OUTSIDE}", f"<sip:carol@{EXAMPLE}>") == 404


def with_limits(network: Network, trunk: int, **limits: int) -> Network:
    """Give the trunk at place *trunk* limits; before the start."""
    partners: Any = network.organisations[0].document["federation"]
    partners["partners"][trunk]["trunk"] |= limits
    network.organisations[0].write()
    return network


@on_loop
async def test_full_trunk_is_passed_over_and_is_free_again_after_a_call(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    """The first call goes to the PBX and rings there; the second finds it full, and the third finds it free."""
    async with with_limits(network, 1, channels=1), provider, pbx:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        invite = await invited(alice, f"tel:{OF_PBX}", f"<sip:alice@{EXAMPLE}>")
        first = await pbx.links.get()
        ringing = await first.request_in("INVITE")
        second = await invited(bob, f"tel:{OF_PBX}", f"<sip:bob@{EXAMPLE}>")
        came, _ = await talk(bob, await provider.links.get(), second)
        assert came.ruri.host == PROVIDER
        await first.reply(ringing, 200, OFFER, SDES)
        final = await alice.final()
        await alice.send(inside_of(Dialog.of_caller(invite, final), alice, "ACK"))
        await first.request_in("ACK")
        assert await refused(first, TO_ALICE, f"<sip:{OF_PBX}@{PBX}>") == 503
        await first.send(inside_of(Dialog.of_callee(ringing, first.tag), first, "BYE"))
        await alice.reply(await alice.request_in("BYE"), 200)
        assert (await first.final(method="BYE")).status == 200
        came, _ = await talk(alice, first, await invited(alice, f"tel:{OF_PBX}", f"<sip:alice@{EXAMPLE}>"))
        assert came.ruri.host == PBX


@on_jumping_loop
async def test_flood_of_a_trunk_is_bounded_by_the_second_and_leaves_the_other_trunk(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    async with with_limits(network, 0, calls_per_second=2), provider, pbx:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        await asyncio.sleep(1)
        for _ in range(10):
            await invited(trunk, f"sip:nobody@{GATEWAYS}", f"<sip:{OUTSIDE}@{PROVIDER}>")
        answers = [(await trunk.final()).status for _ in range(10)]
        assert sorted(answers) == [404] * 2 + [503] * 8
        other = await pbx.opens(network)
        await talk(other, alice, await invited(other, TO_ALICE, f"<sip:{OF_PBX}@{PBX}>"))
        await asyncio.sleep(1)
        await talk(trunk, alice, await invited(trunk, TO_ALICE, f"<sip:{OUTSIDE}@{PROVIDER}>"))


# Calls that a user of ours forwards


@pytest.mark.parametrize("uri", [f"sip:alice@{EXAMPLE}", f"sip:{ALICE}@{EXAMPLE}"])
@on_loop
async def test_forwarded_call_leaves_with_the_number_of_the_user_who_forwards(
    network: Network, provider: PlayedTrunk, uri: str
) -> None:
    """The trunk learns neither the caller nor a name of a user."""
    async with network, provider:
        bob = await network.phone("bob", FE1)
        await rules(network, "alice", away=OUTSIDE)
        invite = await invited(bob, uri, f"<sip:bob@{EXAMPLE}>")
        came, final = await talk(bob, await provider.links.get(), invite)
        assert came.ruri.aor == f"sip:{OUTSIDE}@{PROVIDER}"
        assert came.from_.uri == f"sip:{ALICE}@{GATEWAYS};user=phone"
        assert came.values("p-asserted-identity") == [f"<sip:{ALICE}@{GATEWAYS};user=phone>"]
        assert came.items("diversion") == [f"<sip:{ALICE}@{GATEWAYS};user=phone>;reason=away;counter=1"]
        shown = b"".join(came.lines)
        assert (b"bob" in shown, b"alice" in shown, BOB.encode() in shown) == (False, False, False)
        assert final.to.uri == invite.to.uri


@on_loop
async def test_call_of_a_trunk_is_forwarded_to_a_trunk(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    async with network, provider, pbx:
        await rules(network, "alice", always=OF_PBX)
        trunk = await provider.opens(network)
        invite = await invited(trunk, TO_ALICE, f"<sip:{OUTSIDE}@198.51.100.7>")
        came, _ = await talk(trunk, await pbx.links.get(), invite)
        assert (came.ruri.aor, came.from_.uri) == (f"sip:{OF_PBX}@{PBX}", f"sip:{ALICE}@{GATEWAYS};user=phone")
        assert OUTSIDE.encode() not in b"".join(came.lines)


@on_loop
async def test_trunk_that_sends_a_forwarded_call_back_is_refused(network: Network, provider: PlayedTrunk) -> None:
    """It shows the number of the user who has forwarded, which no trunk may assert. So no call goes in a circle."""
    async with network, provider:
        await rules(network, "alice", always=OUTSIDE)
        bob = await network.phone("bob", FE1)
        await invited(bob, f"sip:alice@{EXAMPLE}", f"<sip:bob@{EXAMPLE}>")
        there = await provider.links.get()
        came = await there.request_in("INVITE")
        back = await provider.opens(network)
        assert await refused(back, TO_ALICE, came.from_.uri and f"<{came.from_.uri}>") == 403
        await there.reply(came, 486)
        assert (await bob.final()).status == 486


@on_loop
async def test_trunk_gets_the_number_of_the_user_for_whom_a_delegate_calls(
    network: Network, provider: PlayedTrunk
) -> None:
    async with network, provider:
        bob, for_alice = await network.phone("bob", FE1), ("p-preferred-identity", f"<sip:alice@{EXAMPLE}>")
        await invited(bob, f"sip:{OUTSIDE}@{EXAMPLE}", f"<sip:bob@{EXAMPLE}>", for_alice)
        assert (await bob.final()).status == 403
        await rules(network, "alice", delegates=("bob",))
        await invited(bob, f"sip:{OUTSIDE}@{EXAMPLE}", f"<sip:bob@{EXAMPLE}>", for_alice)
        came = await (await provider.links.get()).request_in("INVITE")
        assert came.from_.uri == f"sip:{ALICE}@{GATEWAYS};user=phone"
        assert b"bob" not in b"".join(came.lines)


@pytest.mark.skipif(built() == "compiled", reason="the bound is compiled into the code")
@on_loop
async def test_trunk_that_hides_a_circle_ends_it_at_the_bound_of_forwarded_calls(
    network: Network, provider: PlayedTrunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It drops Diversion, and shows another caller. Calls that the user makes are not bounded by it."""
    monkeypatch.setattr(call_bounds, "MOST_FORWARDED", 2)
    async with network, provider:
        await rules(network, "alice", always=OUTSIDE)
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        await invited(bob, f"sip:alice@{EXAMPLE}", f"<sip:bob@{EXAMPLE}>")
        there = await provider.links.get()
        await there.request_in("INVITE")
        back = await provider.opens(network)
        for caller in (6, 7):
            await invited(back, TO_ALICE, f"<sip:{OUTSIDE[:-1]}{caller}@198.51.100.7>")
            assert isinstance(await comes_back(back), Request)  # on the newest link
        await invited(back, TO_ALICE, f"<sip:{OUTSIDE[:-1]}8@198.51.100.7>")
        last = await comes_back(back)
        assert isinstance(last, Response)
        assert last.status == 403
        await invited(alice, f"sip:{OUTSIDE}@{EXAMPLE}", f"<sip:alice@{EXAMPLE}>")
        await back.request_in("INVITE")


async def comes_back(trunk: Peer) -> Request | Response:
    """The call that comes back to a trunk, or the refusal of what the trunk has sent."""
    while isinstance(message := await trunk.receive(), Response) and message.status < 200:
        pass
    return message


@on_loop
async def test_circle_over_a_user_without_a_number_ends_at_the_bound_of_forwarded_calls(
    network: Network, pbx: PlayedTrunk
) -> None:
    """Carol has no number that a trunk could see. What she calls herself is not bounded by it."""
    async with network, pbx:
        await rules(network, "alice", always="carol")
        await rules(network, "carol", always=OF_PBX)
        back = await pbx.opens(network)
        for caller in range(MOST_FORWARDED):
            await invited(back, TO_ALICE, f"<sip:+49895550{caller:03}@198.51.100.7>")
            came = await comes_back(back)
            assert isinstance(came, Request)
            assert (came.ruri.user, came.items("diversion")) == (OF_PBX, [])
            assert b"carol" not in b"".join(came.lines)
        await invited(back, TO_ALICE, "<sip:+49895550999@198.51.100.7>")
        last = await comes_back(back)
        assert isinstance(last, Response)
        assert last.status == 403
        carol = await network.phone("carol", FE1)
        await invited(carol, f"sip:{OF_PBX}@{EXAMPLE}", f"<sip:carol@{EXAMPLE}>")
        assert isinstance(await comes_back(back), Request)


@on_loop
async def test_no_caller_takes_the_forwarded_calls_of_a_user_from_others(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    """One number has five calls up by a rule of Alice, and another one has five; each gets 403 for the next, and so does a third.

    Then the trunk has its ten. A user of ours, and a caller of another trunk, are forwarded.
    """
    async with network, provider, pbx:
        await rules(network, "alice", always=OUTSIDE)
        bob, branch = await network.phone("bob", FE1), await pbx.opens(network)
        trunk, newest = await provider.opens(network), await provider.opens(network)
        for caller in (f"<sip:{OUTSIDE[:-1]}6@198.51.100.7>", f"<sip:{OUTSIDE[:-1]}7@198.51.100.7>"):
            for _ in range(MOST_OF_CALLER):
                await up(trunk, newest, caller)
            assert await refused(trunk, TO_ALICE, caller) == 403
        assert await refused(trunk, TO_ALICE, f"<sip:{OUTSIDE[:-1]}8@198.51.100.7>") == 403
        await invited(bob, f"sip:alice@{EXAMPLE}", f"<sip:bob@{EXAMPLE}>")
        assert (await newest.request_in("INVITE")).ruri.user == OUTSIDE
        await invited(branch, TO_ALICE, f"<sip:{OF_PBX}@198.51.100.8>")
        assert (await newest.request_in("INVITE")).ruri.user == OUTSIDE
        assert network.nodes[GATEWAY].relay.calls.bounds.reached == {"forwarded": 3}


@on_loop
async def test_forwarded_call_that_ends_makes_room_for_its_caller(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        await rules(network, "alice", always=OUTSIDE)
        trunk, newest = await provider.opens(network), await provider.opens(network)
        caller = f"<sip:{OUTSIDE[:-1]}6@198.51.100.7>"
        dialogs = [await up(trunk, newest, caller) for _ in range(MOST_OF_CALLER)]
        assert await refused(trunk, TO_ALICE, caller) == 403
        await trunk.send(inside_of(dialogs[0], trunk, "BYE"))
        await newest.reply(await newest.request_in("BYE"), 200)
        assert (await trunk.final(method="BYE")).status == 200
        await invited(trunk, TO_ALICE, caller)
        await newest.request_in("INVITE")


async def up(trunk: Peer, newest: Peer, caller: str) -> Dialog:
    """A call to Alice that comes back to the trunk on its newest link, and is answered there; the dialog is the caller's."""
    invite = await invited(trunk, TO_ALICE, caller)
    await newest.reply(await newest.request_in("INVITE"), 200, OFFER, SDES)
    dialog = Dialog.of_caller(invite, await trunk.final())
    await trunk.send(inside_of(dialog, trunk, "ACK"))
    await newest.request_in("ACK")
    return dialog


@on_loop
async def test_no_rule_and_no_alias_keeps_an_emergency_call_back(network: Network, provider: PlayedTrunk) -> None:
    """The user who has the number as an alias gets no call to it; with another alias, the user does."""
    users = Users(network.organisations[0].load().users_url)
    for alias in ("112", "113"):
        users.add_alias(f"alice@{EXAMPLE}", alias)
    users.close()
    partners: Any = network.organisations[0].document["federation"]
    partners["partners"][0]["trunk"] = {"gateway": GATEWAYS, "emergency": True}
    network.organisations[0].document["call_rules"] = [{"block": [f"bob@{EXAMPLE}", "anonymous"]}]
    with_numbers(network, emergency=["112"], country="49")
    async with network, provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        await rules(network, "alice", callers={"bob": "allow"}, delegates=("bob",))
        await rules(network, "bob", do_not_disturb=True, always="alice", callers={"*": "block"})
        for_alice = ("p-preferred-identity", f"<sip:alice@{EXAMPLE}>")
        await invited(bob, f"sip:112@{EXAMPLE}", f"<sip:bob@{EXAMPLE}>", for_alice)
        came = await (await provider.links.get()).request_in("INVITE")
        assert (came.ruri.user, came.from_.uri) == ("112", f"sip:{BOB}@{GATEWAYS};user=phone")
        await alice.silent()
        await invited(bob, f"sip:113@{EXAMPLE}", f"<sip:bob@{EXAMPLE}>")
        await alice.request_in("INVITE")


@on_loop
async def test_number_that_a_user_blocks_is_declined_and_others_ring(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        await rules(network, "alice", callers={OUTSIDE: "block"})
        assert await refused(trunk, TO_ALICE, f"<sip:{OUTSIDE}@198.51.100.7>") == 603
        await invited(trunk, TO_ALICE, f"<sip:{OUTSIDE[:-1]}1@198.51.100.7>")
        await alice.request_in("INVITE")


BY_COUNTRY = {
    "emergency": ["112"],
    "classes": [
        {"name": "premium", "kinds": ["premium"]},
        {"name": "america", "numbers": ["+1"], "everyone": True},
        {"name": "caribbean", "countries": ["JM"], "users": [f"bob@{EXAMPLE}"]},
    ],
}


@pytest.mark.parametrize(
    ("user", "number", "status"),
    [
        ("alice", "+18765551234", 403),
        ("bob", "+18765551234", 486),
        ("alice", "+187655512345", 403),
        ("alice", "+12025550123", 486),
        ("alice", "+19005551234", 403),
        ("bob", "+4990012345678", 403),
        ("alice", "+9991234567", 403),
        ("alice", "112", 486),
    ],
)
@on_loop
async def test_country_and_kind_of_a_number_decide_who_may_call_it(
    network: Network, provider: PlayedTrunk, user: str, number: str, status: int
) -> None:
    """Jamaica and the United States share +1. An emergency call is of no class."""
    document: Any = network.organisations[0].document
    document["numbers"] = BY_COUNTRY
    document["federation"]["partners"][0]["trunk"]["emergency"] = True
    network.organisations[0].write()
    async with network, provider:
        phone = await network.phone(user, FE1)
        await invited(phone, f"sip:{number}@{EXAMPLE}", f"<sip:{user}@{EXAMPLE}>")
        if status == 486:
            trunk = await provider.links.get()
            came = await trunk.request_in("INVITE")
            assert came.ruri.user == number
            await trunk.reply(came, 486)
        assert (await phone.final()).status == status


@on_loop
async def test_trunk_that_refuses_all_calls_is_a_fault_until_a_call_rings_there(
    network: Network, provider: PlayedTrunk
) -> None:
    """It answers each OPTIONS request. That a number is busy or wrong says nothing about the trunk.

    Nor does what one caller is refused: anyone may send what no trunk accepts. A call from before hides nothing.
    """
    async with network, provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        gateway = network.nodes[GATEWAY]

        async def begun(phone: Peer) -> tuple[Request, Request]:
            invite = await invited(phone, f"tel:{OUTSIDE}", f"<sip:{phone.user}>")
            return invite, await trunk.request_in("INVITE")

        async def is_refused(phone: Peer, status: int) -> None:
            assert [*peer_faults(gateway)] == []
            _, came = await begun(phone)
            await trunk.reply(came, status)
            assert (await trunk.request_in("ACK")).method == "ACK"
            assert (await phone.final()).status == status

        invite = await invited(bob, f"tel:{OUTSIDE}", f"<sip:bob@{EXAMPLE}>")
        trunk = await provider.links.get()
        came = await trunk.request_in("INVITE")
        await trunk.reply(came, 200, OFFER, SDES)
        call = Dialog.of_caller(invite, await bob.final())
        await bob.send(inside_of(call, bob, "ACK"))
        assert (await trunk.request_in("ACK")).method == "ACK"
        for status in (*[486] * REFUSED_BY, *[420] * REFUSED_BY):
            await is_refused(alice, status)
        await is_refused(bob, 403)
        [fault] = peer_faults(gateway)
        assert (fault.peer, fault.kind, fault.code) == (PROVIDER, PeerKind.PARTNER, Cause.CALLS_REFUSED)
        assert "sipmesh calls" in remedy_of(fault.kind, fault.code, fault.peer, GATEWAY)
        await bob.send(inside_of(call, bob, "INFO"))
        await trunk.reply(await trunk.request_in("INFO"), 200)
        assert (await bob.final()).status == 200
        assert [*peer_faults(gateway)] == [fault]
        _, came = await begun(alice)
        await trunk.reply(came, 180)
        await until(lambda: [*peer_faults(gateway)] == [])
