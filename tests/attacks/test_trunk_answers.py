"""What a trunk says of a call: an answer without media, who has forwarded it, and that it is for an application of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenarios.test_trunks import OFFER, TO_ALICE, invited, refused, talk, with_limits
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.server.proxy.serving.trunk_room import calls_with
from sipmesh.trust.role import Role
from support.call_rules import rules
from support.descriptions import SDES
from support.network import BEGAN, BOT, EXAMPLE, FE1, POOL, Network, finished
from support.running import on_loop
from support.talking import inside_of
from support.trunks import (
    ALICE,
    BOB,
    GATEWAY,
    GATEWAYS,
    OF_PBX,
    OUTSIDE,
    PROVIDER,
    PlayedTrunk,
    join_trunks,
    with_trunks,
)

TO_OUTSIDE, FROM_ALICE, FROM_OUTSIDE = f"tel:{OUTSIDE}", f"<sip:alice@{EXAMPLE}>", f"<sip:{OUTSIDE}@{PROVIDER}>"
DECLINED = SDES.replace(b"m=audio 5004", b"m=audio 0")
ROOM, ROOMS = f"room@{EXAMPLE}", "+4930123499"


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    document: dict[str, Any] = example.document
    document["call_records"] = {"days": 30}
    example.write()
    return Network((example,), starts=(FE1, GATEWAY))


# An answer without media


@pytest.mark.parametrize(("headers", "answer", "media"), [(OFFER, SDES, "SRTP"), ([], b"", ""), (OFFER, DECLINED, "")])
@on_loop
async def test_answer_without_media_is_a_call_that_is_counted_and_recorded_so(
    network: Network, provider: PlayedTrunk, headers: list[tuple[str, str]], answer: bytes, media: str
) -> None:
    """It has a channel, as each call does. The phone ends it at the trunk too, and the next call finds the channel free."""
    assert DECLINED != SDES
    async with with_limits(network, 0, channels=1), provider:
        alice, state = await network.phone("alice", FE1), network.nodes[GATEWAY].core.state
        invite = await invited(alice, TO_OUTSIDE, FROM_ALICE)
        trunk = await provider.links.get()
        await trunk.reply(await trunk.request_in("INVITE"), 200, headers, answer)
        final = await alice.final()
        assert (final.status, final.body) == (200, answer)
        dialog = Dialog.of_caller(invite, final)
        await alice.send(inside_of(dialog, alice, "ACK"))
        await trunk.request_in("ACK")
        assert calls_with(state, PROVIDER) == 1
        [call] = network.nodes[FE1].relay.calls.records.up.by_key.values()
        assert f'"media":"{media}"' in str(call.entry.head)
        assert await refused(alice, TO_OUTSIDE, FROM_ALICE) == 500
        await alice.send(inside_of(dialog, alice, "BYE"))
        await trunk.reply(await trunk.request_in("BYE"), 200)
        assert (await alice.final(method="BYE")).status == 200
        assert calls_with(state, PROVIDER) == 0
        await talk(alice, trunk, await invited(alice, TO_OUTSIDE, FROM_ALICE))


# Who has forwarded a call


@on_loop
async def test_trunk_learns_the_number_of_the_user_who_forwards_and_a_phone_inside_the_whole_history(
    network: Network, provider: PlayedTrunk
) -> None:
    async with network, provider:
        bob, carol = await network.phone("bob", FE1), await network.phone("carol", FE1)
        sender = f"<sip:bob@{EXAMPLE}>"
        await rules(network, "alice", always="carol")
        inside, _ = await talk(bob, carol, await invited(bob, f"sip:alice@{EXAMPLE}", sender))
        assert [item.partition(">")[0] for item in inside.items("history-info")] == [
            f"<sip:alice@{EXAMPLE}",
            f"<sip:carol@{EXAMPLE};cause=302",
        ]
        await rules(network, "alice", always=OUTSIDE)
        invite = await invited(bob, f"sip:alice@{EXAMPLE}", sender)
        came, _ = await talk(bob, await provider.links.get(), invite)
        assert came.items("diversion") == [f"<sip:{ALICE}@{GATEWAYS};user=phone>;reason=unconditional;counter=1"]
        assert came.items("history-info") == []


@pytest.mark.parametrize("field", ["diversion", "history-info", "referred-by"])
@pytest.mark.parametrize(
    ("who", "passes"),
    [
        (f"sip:{OUTSIDE}@{PROVIDER}", True),
        (f"sip:{BOB}@{EXAMPLE}", False),
        (f"sip:bob@{EXAMPLE}", False),
        (f"sip:{OF_PBX}@{PROVIDER}", False),
    ],
)
@on_loop
async def test_trunk_says_of_its_own_numbers_alone_that_they_have_forwarded_a_call(
    network: Network, provider: PlayedTrunk, field: str, who: str, *, passes: bool
) -> None:
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        invite = await invited(trunk, TO_ALICE, FROM_OUTSIDE, (field, f"<{who}>;index=1;reason=unconditional"))
        came, _ = await talk(trunk, alice, invite)
        assert came.has(field) == passes


@pytest.mark.parametrize("field", ["diversion", "history-info", "referred-by"])
@on_loop
async def test_phone_names_no_other_user_as_who_has_forwarded_its_call_to_a_trunk(
    network: Network, provider: PlayedTrunk, field: str
) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        for who in (f"sip:bob@{EXAMPLE}", f"sip:{BOB}@{EXAMPLE}", f"sip:{OUTSIDE}@{PROVIDER}", f"sip:alice@{EXAMPLE}"):
            await invited(alice, TO_OUTSIDE, FROM_ALICE, (field, f"<{who}>;index=1;reason=unconditional"))
        trunk = await provider.links.get()
        for _ in range(3):
            assert not (await trunk.request_in("INVITE")).has(field)
        assert b"alice" not in b"".join((await trunk.request_in("INVITE")).lines)
        await invited(alice, TO_OUTSIDE, FROM_ALICE, (field, f"<sip:{ALICE}@{EXAMPLE}>;index=1"))
        assert (await trunk.request_in("INVITE")).items(field) == [f"<sip:{ALICE}@{GATEWAYS};user=phone>;index=1"]


# An address with many at it


@pytest.mark.parametrize("public", [True, False])
@on_loop
async def test_trunk_calls_a_conference_only_if_it_is_public(
    provider: PlayedTrunk, tmp_path: Path, *, public: bool
) -> None:
    """By its number. Our users reach it in both cases. A number of the conference is not for the trunk to assert."""
    plans = (
        PoolPlan(POOL, Role.FRONT_END, (FE1,)),
        PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL}),
        PoolPlan(
            BOT,
            Role.APPLICATION,
            (BOT,),
            {"next_hop": POOL, "sip_addresses": [ROOM], "numbers": [ROOMS], "public": public},
        ),
    )
    example = finished(Organisation.build(tmp_path / "rooms", EXAMPLE, plans, issued_at=BEGAN), "alice")
    join_trunks(example, (provider, {"asserts": ["+"], "carries": ["+"]}))
    async with Network((example,), starts=(FE1, GATEWAY)) as network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        room = await network.peer(FE1, "room", BOT)
        await room.silent()
        for uri in (f"sip:{ROOM}", f"sip:{ROOMS}1@{EXAMPLE}"):
            await talk(alice, room, await invited(alice, uri, FROM_ALICE))
        if not public:
            assert await refused(trunk, f"sip:{ROOMS}1@{GATEWAYS}", FROM_OUTSIDE) == 403
            await room.silent()
            return
        came, _ = await talk(trunk, room, await invited(trunk, f"sip:{ROOMS}1@{GATEWAYS}", FROM_OUTSIDE))
        assert came.values("p-asserted-identity") == [f"<sip:{OUTSIDE}@{PROVIDER}>"]
        assert await refused(trunk, f"sip:{ROOMS}1@{GATEWAYS}", f"<sip:{ROOMS}2@{PROVIDER}>") == 403
