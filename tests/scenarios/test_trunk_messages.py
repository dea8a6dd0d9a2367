"""The page of header fields at a trunk is true: each field is sent through a real network, in each direction."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.identity.border import TABLE
from sipmesh.sip.message import Request, Response
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of
from support.trunks import ALICE, GATEWAY, GATEWAYS, OUTSIDE, PROVIDER, PlayedTrunk, with_trunks
from tools.docs.trunk_page import PASSES, REMOVED, SAMPLES, fates

FIELDS = list(SAMPLES.items())
OFFER = [("content-type", SDP), *FIELDS]


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    return Network((with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example"),), starts=(FE1, GATEWAY))


def found(message: Request | Response) -> dict[str, str]:
    """Which of the fields a message has."""
    return {name: PASSES if message.has(name) else REMOVED for name, _ in FIELDS}


def told(column: int) -> dict[str, str]:
    """What the page says of each field in one column."""
    return {name: fates(name)[column] for name, _ in FIELDS}


async def both_ways(
    caller: Peer, uri: str, sender: str, callee: Peer | None, trunk: PlayedTrunk
) -> tuple[Request, Response]:
    """A call with each field in its INVITE and in its answer: what the callee and the caller get."""
    invite = caller.request("INVITE", uri, OFFER, SDES, sender=f"{sender};tag={caller.tag}")
    await caller.send(invite)
    answering = callee or await trunk.links.get()
    came = await answering.request_in("INVITE")
    asserted = ("p-asserted-identity", f"<sip:{answering.user}>")
    await answering.reply(came, 200, [*OFFER, asserted], SDES)
    final = await caller.final()
    assert final.status == 200, final
    await caller.send(inside_of(Dialog.of_caller(invite, final), caller, "ACK"))
    return came, final


@on_loop
async def test_page_is_true_for_calls_to_a_trunk(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        came, final = await both_ways(alice, f"tel:{OUTSIDE}", f'"Al" <sip:alice@{EXAMPLE}>', None, provider)
        assert found(came) == told(0)
        assert found(final) == told(2)
        assert str(came.values("from")[0]).startswith(f"<sip:{ALICE}@{GATEWAYS};user=phone>")
        assert came.ruri.aor == came.to.sip_uri.aor == f"sip:{OUTSIDE}@{PROVIDER}"
        assert came.values("p-asserted-identity") == [f"<sip:{ALICE}@{GATEWAYS};user=phone>"]
        assert came.contacts[0].sip_uri.host == GATEWAYS
        assert (final.values("p-asserted-identity"), final.contacts[0].sip_uri.user) == ([], OUTSIDE)


@on_loop
async def test_page_is_true_for_calls_from_a_trunk(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        came, final = await both_ways(
            trunk, f"sip:{ALICE}@{GATEWAYS}", f'"Chief" <sip:{OUTSIDE}@{PROVIDER}>', alice, provider
        )
        assert found(came) == told(1)
        assert found(final) == told(3)
        assert str(came.values("from")[0]).startswith(f"<sip:{OUTSIDE}@{PROVIDER}>")
        assert came.to.sip_uri.aor == f"sip:{ALICE}@{EXAMPLE}"
        assert came.values("p-asserted-identity") == [f"<sip:{OUTSIDE}@{PROVIDER}>"]
        assert f"<{came.contacts[0].uri}>".startswith(trunk.contact.partition(";")[0])
        assert (final.values("p-asserted-identity"), final.contacts[0].sip_uri.host) == ([], GATEWAYS)


def test_page_has_each_field_with_a_rule() -> None:
    assert TABLE.keys() <= SAMPLES.keys()
