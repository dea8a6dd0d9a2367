"""A stolen phone calls expensive numbers all night: where it stops, and what names its user to the operator."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.status_report import status_of
from sipmesh.server.management.server_faults import reported_faults
from sipmesh.sip.message import Request
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop
from support.talking import inside_of
from support.trunks import GATEWAY, OUTSIDE, PROVIDER, PlayedTrunk, with_trunks

OFFER = [("content-type", SDP)]
PREMIUM = "+49900123456"
NUMBERS: dict[str, Any] = {
    "country": "49",
    "emergency": ["112"],
    "classes": [
        {"name": "home", "numbers": ["+49"], "everyone": True},
        {
            "name": "premium",
            "numbers": ["+49900"],
            "users": [f"alice@{EXAMPLE}"],
            "per_user": {"calls": 2, "minutes": 10},
        },
    ],
}


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    federation: Any = example.document["federation"]
    federation["partners"][0]["trunk"]["emergency"] = True
    example.document["numbers"] = NUMBERS
    example.write()
    return Network((example,), starts=(FE1, GATEWAY))


def with_keys(network: Network, *, trunk: dict[str, Any] | None = None, **numbers: Any) -> Network:
    """Set more bounds; before the start."""
    document: Any = network.organisations[0].document
    document["numbers"] = NUMBERS | numbers
    document["federation"]["partners"][0]["trunk"] |= trunk or {}
    network.organisations[0].write()
    return network


def invite_of(caller: Peer, user: str, number: str) -> Request:
    return caller.request("INVITE", f"tel:{number}", OFFER, SDES, sender=f"<sip:{user}@{EXAMPLE}>;tag={caller.tag}")


async def up(caller: Peer, user: str, trunk: Peer, number: str = PREMIUM) -> Dialog:
    """A call that is up."""
    await caller.send(invite := invite_of(caller, user, number))
    came = await trunk.request_in("INVITE")
    await trunk.reply(came, 200, OFFER, SDES)
    dialog = Dialog.of_caller(invite, await caller.final())
    await caller.send(inside_of(dialog, caller, "ACK"))
    await trunk.request_in("ACK")
    return dialog


async def ends(caller: Peer, trunk: Peer, dialog: Dialog) -> None:
    await caller.send(inside_of(dialog, caller, "BYE"))
    await trunk.reply(await trunk.request_in("BYE"), 200)
    assert (await caller.final(method="BYE")).status == 200


async def refused(caller: Peer, user: str, number: str = PREMIUM) -> int:
    await caller.send(invite_of(caller, user, number))
    return (await caller.final()).status


@pytest.mark.wide
@on_jumping_loop
async def test_stolen_phone_that_calls_premium_numbers_all_night_stops_after_its_minutes_and_is_named(
    network: Network, provider: PlayedTrunk
) -> None:
    """One call after another, and none that ends: ten minutes in all, then 403. Log, metric and status name the user.

    Other numbers, an emergency call and other users are not hindered.
    """
    async with network, provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        trunk, node = await provider.opens(network), network.nodes[GATEWAY]
        loop = asyncio.get_running_loop()
        for _ in range(2):
            dialog = await up(alice, "alice", trunk)
            await asyncio.sleep(180)
            await ends(alice, trunk, dialog)
        await up(alice, "alice", trunk)
        began = loop.time()
        while not node.relay.calls.bounds.reached["minutes"]:
            await asyncio.sleep(10)
            node.sweep.tick()
        assert 230 <= loop.time() - began <= 270
        for peer in (alice, trunk):
            await peer.reply(await peer.request_in("BYE"), 200)
        for _ in range(3):
            assert await refused(alice, "alice") == 403
        assert node.relay.calls.bounds.reached["minutes"] == 4
        [fault] = reported_faults(GATEWAY, status_of(node))
        assert "alice@example.test has used 10 minutes in 24 hours to premium numbers" in str(fault)
        await ends(alice, trunk, await up(alice, "alice", trunk, OUTSIDE))
        await ends(bob, trunk, await up(bob, "bob", trunk, OUTSIDE))
        await alice.send(invite_of(alice, "alice", "112;phone-context=+49"))
        assert (await trunk.request_in("INVITE")).ruri.user == "112"


@on_loop
async def test_many_calls_at_once_are_bounded_while_they_ring_too(network: Network, provider: PlayedTrunk) -> None:
    """A phone that sends all its calls at the same moment has no more than the bound. A call that ends makes room."""
    async with network, provider:
        alice = await network.phone("alice", FE1)
        trunk = await provider.opens(network)
        await alice.send(*(invite_of(alice, "alice", PREMIUM) for _ in range(5)))
        rings = [await trunk.request_in("INVITE") for _ in range(2)]
        assert [(await alice.final()).status for _ in range(3)] == [403] * 3
        assert await refused(alice, "alice") == 403
        await trunk.reply(rings[0], 486)
        assert (await alice.final()).status == 486
        await alice.send(invite_of(alice, "alice", PREMIUM))
        assert (await trunk.request_in("ACK")).method == "ACK"
        assert (await trunk.request_in("INVITE")).ruri.user == PREMIUM


@on_loop
async def test_user_with_a_bound_of_calls_leaves_a_channel_of_the_trunk_to_others(
    network: Network, provider: PlayedTrunk
) -> None:
    """An emergency call counts for neither."""
    async with with_keys(network, trunk={"channels": 3}, per_user={"calls": 2}), provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        trunk = await provider.opens(network)
        for _ in range(2):
            await up(alice, "alice", trunk, OUTSIDE)
        assert await refused(alice, "alice", OUTSIDE) == 403
        await up(bob, "bob", trunk, OUTSIDE)
        await alice.send(invite_of(alice, "alice", "112;phone-context=+49"))
        assert (await trunk.request_in("INVITE")).ruri.user == "112"


@on_loop
async def test_user_without_a_bound_of_calls_takes_all_channels_of_the_trunk(
    network: Network, provider: PlayedTrunk
) -> None:
    """`sipmesh topology check` warns of it."""
    async with with_keys(network, trunk={"channels": 3}), provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        trunk = await provider.opens(network)
        for _ in range(3):
            await up(alice, "alice", trunk, OUTSIDE)
        assert await refused(bob, "bob", OUTSIDE) == 500


@on_jumping_loop
async def test_bound_of_all_numbers_together_holds_beside_that_of_a_class(
    network: Network, provider: PlayedTrunk
) -> None:
    async with with_keys(network, per_user={"minutes": 3}), provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        trunk = await provider.opens(network)
        dialog = await up(alice, "alice", trunk, OUTSIDE)
        await asyncio.sleep(181)
        await ends(alice, trunk, dialog)
        assert await refused(alice, "alice", OUTSIDE) == 403
        assert await refused(alice, "alice") == 403
        await ends(bob, trunk, await up(bob, "bob", trunk, OUTSIDE))


@on_jumping_loop
async def test_trunk_whose_minutes_are_used_up_carries_no_call(network: Network, provider: PlayedTrunk) -> None:
    """Calls that come in are not counted."""
    async with with_keys(network, trunk={"minutes": 3}), provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        trunk = await provider.opens(network)
        dialog = await up(alice, "alice", trunk, OUTSIDE)
        await asyncio.sleep(181)
        await ends(alice, trunk, dialog)
        assert await refused(bob, "bob", OUTSIDE) == 500
        assert network.nodes[GATEWAY].relay.calls.bounds.lately == [f"{PROVIDER} has carried 3 minutes in 24 hours"]


@pytest.mark.parametrize(("hour", "status"), [(7, 403), (8, 486), (17, 486), (18, 403), (3, 403)])
@on_loop
async def test_class_with_hours_is_called_within_them_only(
    network: Network, provider: PlayedTrunk, monkeypatch: pytest.MonkeyPatch, hour: int, status: int
) -> None:
    """In the time zone of the organisation: 8 o'clock in Berlin is 7 o'clock UTC in winter."""
    classes = [{"name": "day", "numbers": ["+"], "everyone": True, "hours": "08:00-18:00"}]
    async with with_keys(network, classes=classes, time_zone="Europe/Berlin"), provider:
        monkeypatch.setattr(network.nodes[GATEWAY].relay.calls.bounds, "_wall", lambda: 1_764_543_600.0 + hour * 3600)
        alice = await network.phone("alice", FE1)
        await alice.send(invite_of(alice, "alice", OUTSIDE))
        if status == 486:
            trunk = await provider.links.get()
            await trunk.reply(await trunk.request_in("INVITE"), 486)
        assert (await alice.final()).status == status


@pytest.mark.wide
@on_jumping_loop
async def test_report_has_the_minutes_of_a_trunk_and_the_users_who_have_used_half_of_a_bound(
    network: Network, provider: PlayedTrunk
) -> None:
    """It names no other user: viewers read the report, and may not read how long users call."""
    with_keys(network, per_user={"minutes": 10}, trunk={"minutes": 600})
    async with network, provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        trunk, node = await provider.opens(network), network.nodes[GATEWAY]
        ended = await up(bob, "bob", trunk, OUTSIDE)
        await asyncio.sleep(180)
        await ends(bob, trunk, ended)
        await up(alice, "alice", trunk, OUTSIDE)
        await asyncio.sleep(305)
        status = status_of(node)
        [use] = [one for one in status.trunks if one.trunk == PROVIDER]
        assert (use.calls, use.minutes) == (1, 8)
        assert [(one.user, one.calls, one.minutes, one.most_minutes) for one in status.callers] == [
            (f"alice@{EXAMPLE}", 1, 5, 10)
        ]


AUSTRIA, FRANCE, CUBA, BARBADOS = "+43512507123", "+33142345678", "+5372041234", "+12462345678"
WORLD = [
    {"name": "world", "numbers": ["+"], "everyone": True},
    {"name": "islands", "countries": ["CU", "BB", "JM"], "everyone": True, "per_user": {"countries": 1}},
]


async def rings_out(caller: Peer, user: str, trunk: Peer, number: str) -> None:
    """A call that reaches the trunk, and is not answered there."""
    await caller.send(invite_of(caller, user, number))
    came = await trunk.request_in("INVITE")
    assert came.ruri.user == number
    await trunk.reply(came, 480)
    assert (await caller.final(method="INVITE")).status >= 480
    await trunk.request_in("ACK")


@on_loop
async def test_stolen_phone_that_calls_one_country_after_another_stops_and_is_named(
    network: Network, provider: PlayedTrunk
) -> None:
    """Calls to the countries that were called go on, and so do the calls of another user."""
    async with with_keys(network, classes=WORLD, per_user={"countries": 2}), provider:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        trunk, node = await provider.opens(network), network.nodes[GATEWAY]
        for number in (AUSTRIA, FRANCE, AUSTRIA):
            await rings_out(alice, "alice", trunk, number)
        assert await refused(alice, "alice", OUTSIDE) == 403
        assert await refused(alice, "alice", CUBA) == 403
        await rings_out(alice, "alice", trunk, FRANCE)
        await rings_out(bob, "bob", trunk, CUBA)
        why = f"alice@{EXAMPLE} has called 2 countries in 24 hours, and calls one more"
        assert node.relay.calls.bounds.lately == [why]
        assert node.relay.calls.bounds.reached["countries"] == 2
        status = status_of(node)
        assert why in str(list(reported_faults(GATEWAY, status)))
        assert [(one.user, one.countries, one.most_countries) for one in status.callers] == [
            (f"bob@{EXAMPLE}", 1, 2),
            (f"alice@{EXAMPLE}", 2, 2),
        ]


@on_loop
async def test_bound_of_countries_of_a_class_counts_those_of_the_class_alone(
    network: Network, provider: PlayedTrunk
) -> None:
    async with with_keys(network, classes=WORLD), provider:
        alice = await network.phone("alice", FE1)
        trunk = await provider.opens(network)
        for number in (AUSTRIA, BARBADOS, FRANCE):
            await rings_out(alice, "alice", trunk, number)
        assert await refused(alice, "alice", CUBA) == 403
        for number in (BARBADOS, OUTSIDE):
            await rings_out(alice, "alice", trunk, number)
