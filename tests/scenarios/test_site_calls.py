"""Calls of users at two sites: what they type, by which trunk their calls leave, and what an emergency call says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.sip.message import Request
from support.call_rules import rules
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of
from support.trunks import ALICE, GATEWAY, GATEWAYS, OUTSIDE, PBX, PROVIDER, PlayedTrunk, with_trunks

LOCATION = "https://lis.example.test/paris"
CALLBACK = "+33123456700"
KEYS = {"asserts": ["+49170"], "carries": ["+"], "main_number": "+493012300", "emergency": True}
PARIS: dict[str, Any] = {
    "site": "paris",
    "users": [f"carol@{EXAMPLE}", f"bob@{EXAMPLE}"],
    "country": "33",
    "emergency": ["15", "112", "17"],
    "emergency_services": [{"service": "sos.police", "number": "17"}],
    "outside_line": "0",
    "extensions": [{"digits": 3, "numbers": "+33123456"}, {"prefix": "8", "digits": 3, "numbers": ALICE[:-3]}],
    "emergency_trunks": [PBX],
    "location": LOCATION,
    "callback": CALLBACK,
}
NUMBERS = {
    "country": "49",
    "emergency": ["110", "112"],
    "sites": [PARIS],
    "routes": [{"name": "paris", "numbers": ["+33"], "trunks": [PBX], "sites": ["paris"]}],
}


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    """Carol and bob are in Paris, alice is in Berlin. Both trunks carry all numbers; the provider is tried first."""
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    partners: Any = example.document["federation"]
    for priority, entry in enumerate(partners["partners"]):
        entry["trunk"] = {"gateway": GATEWAYS, **KEYS, "priority": priority}
    example.document |= {"sites": ["paris"], "numbers": NUMBERS}
    example.write()
    return Network((example,), starts=(FE1, GATEWAY))


async def reached(caller: Peer, name: str, typed: str, callee: PlayedTrunk, *headers: tuple[str, str]) -> Request:
    """The INVITE that a trunk gets for what a user types; the call is answered and ended."""
    given = [("content-type", SDP), *headers]
    uri = typed if ":" in typed else f"sip:{typed}@{EXAMPLE}"
    invite = caller.request("INVITE", uri, given, SDES, sender=f"<sip:{name}@{EXAMPLE}>;tag={caller.tag}")
    await caller.send(invite)
    trunk = await callee.links.get()
    came = await trunk.request_in("INVITE")
    await trunk.reply(came, 200, [("content-type", SDP)], SDES)
    final = await caller.final()
    assert final.status == 200
    await caller.send(inside_of(Dialog.of_caller(invite, final), caller, "ACK"))
    assert (await trunk.request_in("ACK")).method == "ACK"
    callee.links.put_nowait(trunk)
    return came


@on_loop
async def test_digits_mean_what_they_mean_at_the_site_of_the_caller(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    """From Paris, 0 0123… is French and leaves by the trunk of Paris; from Berlin, 0123… is German."""
    async with network, provider, pbx:
        alice, carol = await network.phone("alice", FE1), await network.phone("carol", FE1)
        assert (await reached(alice, "alice", "0123456789", provider)).ruri.user == "+49123456789"
        assert (await reached(carol, "carol", "00123456789", pbx)).ruri.user == "+33123456789"
        assert (await reached(carol, "carol", "700", pbx)).ruri.user == "+33123456700"
        assert (await reached(carol, "carol", f"tel:{OUTSIDE}", provider)).ruri.user == OUTSIDE


@on_loop
async def test_extension_of_another_site_reaches_its_user(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        alice, carol = await network.phone("alice", FE1), await network.phone("carol", FE1)
        invite = carol.request("INVITE", f"sip:8{ALICE[-3:]}@{EXAMPLE}", [("content-type", SDP)], SDES)
        await carol.send(invite)
        assert (await alice.request_in("INVITE")).method == "INVITE"
        alice_typed = alice.request("INVITE", f"sip:8{ALICE[-3:]}@{EXAMPLE}", [("content-type", SDP)], SDES)
        await alice.send(alice_typed)
        assert (await alice.final()).status == 404


@on_loop
async def test_emergency_call_leaves_by_the_trunk_of_the_site_with_its_location_and_callback(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    """Carol has no number. The location that the phone says is replaced: a stolen phone cannot send an ambulance elsewhere."""
    async with network, provider, pbx:
        carol = await network.phone("carol", FE1)
        false = ("geolocation", "<https://attacker.test/elsewhere>")
        came = await reached(carol, "carol", "015", pbx, false, ("geolocation-routing", "no"))
        assert came.ruri.aor == f"sip:15@{PBX}"
        assert came.values("geolocation") == [f"<{LOCATION}>"]
        assert came.values("geolocation-routing") == ["yes"]
        assert came.values("p-asserted-identity") == [f"<sip:{CALLBACK}@{GATEWAYS};user=phone>"]


@pytest.mark.parametrize(
    ("service", "number"), [("sos", "15"), ("sos.police", "17"), ("sos.fire", "15"), ("SOS.Police.Traffic", "17")]
)
@on_loop
async def test_emergency_service_is_called_by_its_number_at_the_site_with_location_and_callback(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk, service: str, number: str
) -> None:
    """Alice, in Berlin, calls the first number there. A delegate calls as the delegate."""
    async with network, provider, pbx:
        alice, carol = await network.phone("alice", FE1), await network.phone("carol", FE1)
        await rules(network, "alice", delegates=("carol",))
        false = ("geolocation", "<https://attacker.test/elsewhere>")
        for_alice = ("p-preferred-identity", f"<sip:alice@{EXAMPLE}>")
        came = await reached(carol, "carol", f"urn:service:{service}", pbx, false, for_alice)
        assert came.ruri.aor == f"sip:{number}@{PBX}"
        assert came.values("geolocation") == [f"<{LOCATION}>"]
        assert came.values("p-asserted-identity") == [f"<sip:{CALLBACK}@{GATEWAYS};user=phone>"]
        assert (await reached(alice, "alice", f"urn:service:{service}", provider)).ruri.aor == f"sip:110@{PROVIDER}"


@on_loop
async def test_user_with_a_number_is_called_back_there_and_other_sites_have_other_emergency_numbers(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    async with network, provider, pbx:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        came = await reached(bob, "bob", "112", pbx)
        assert came.values("p-asserted-identity") == [f"<sip:+493012346@{GATEWAYS};user=phone>"]
        came = await reached(alice, "alice", "110", provider)
        assert (came.ruri.aor, came.values("geolocation")) == (f"sip:110@{PROVIDER}", [])
        await alice.send(alice.request("INVITE", f"sip:15@{EXAMPLE}", [("content-type", SDP)], SDES))
        assert (await alice.final()).status == 404


@pytest.mark.parametrize("typed", ["015", "0112", "15"])
@on_loop
async def test_emergency_call_of_a_delegate_is_one_of_the_delegate_also_with_an_outside_line(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk, typed: str
) -> None:
    """Carol calls for alice, who is elsewhere: her other calls leave as those of alice."""
    async with network, provider, pbx:
        carol = await network.phone("carol", FE1)
        await rules(network, "alice", delegates=("carol",))
        for_alice = ("p-preferred-identity", f"<sip:alice@{EXAMPLE}>")
        came = await reached(carol, "carol", typed, pbx, for_alice)
        assert came.ruri.aor == f"sip:{typed.removeprefix('0')}@{PBX}"
        assert came.values("p-asserted-identity") == [f"<sip:{CALLBACK}@{GATEWAYS};user=phone>"]
        came = await reached(carol, "carol", OUTSIDE, provider, for_alice)
        assert came.values("p-asserted-identity") == [f"<sip:{ALICE}@{GATEWAYS};user=phone>"]


@pytest.mark.parametrize("uri", [f"sip:+33123456789@{EXAMPLE};trunks={PBX}", f"sip:+33123456789@{PBX};trunks={PBX}"])
@on_loop
async def test_phone_chooses_no_trunk(network: Network, provider: PlayedTrunk, pbx: PlayedTrunk, uri: str) -> None:
    """Alice is not in Paris. The parameter by which a front end names trunks counts only from a front end."""
    async with network, provider, pbx:
        alice = await network.phone("alice", FE1)
        assert (await reached(alice, "alice", uri, provider)).ruri.user == "+33123456789"


@on_loop
async def test_emergency_call_is_carried_by_another_trunk_if_that_of_the_site_is_away(
    network: Network, provider: PlayedTrunk
) -> None:
    async with network, provider:
        carol = await network.phone("carol", FE1)
        came = await reached(carol, "carol", "15", provider)
        assert (came.ruri.aor, came.values("geolocation")) == (f"sip:15@{PROVIDER}", [f"<{LOCATION}>"])
