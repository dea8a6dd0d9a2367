"""The record of a call to a trunk names the trunk, and only a gateway has it named."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.test_trunks import OFFER, TO_ALICE, invited
from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.bridging.bridges import IN_THE_CLEAR
from sipmesh.server.proxy.records.carried_by import CARRIED_BY
from support.call_rules import rules
from support.descriptions import SDES
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.recording import made_at, with_records
from support.running import on_loop
from support.trunks import GATEWAY, OF_PBX, OUTSIDE, PBX, PROVIDER, PlayedTrunk, with_trunks

TO_OUTSIDE, FROM_ALICE, FROM_OUTSIDE = f"tel:{OUTSIDE}", f"<sip:alice@{EXAMPLE}>", f"<sip:{OUTSIDE}@{PROVIDER}>"
LIES = [("warning", f'399 {GATEWAY} "{CARRIED_BY}{PBX}"'), ("warning", f'399 {GATEWAY} "{IN_THE_CLEAR}"')]


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    return with_records(Network((example,), starts=(FE1, GATEWAY)))


async def answered(callee: Peer, caller: Peer, status: int, *headers: tuple[str, str]) -> list[str]:
    """Answer the call of *caller*; give the Warnings that it gets."""
    accepts = status < 300
    await callee.reply(
        await callee.request_in("INVITE"), status, [*(OFFER if accepts else []), *headers], SDES * accepts
    )
    final = await caller.final()
    assert final.status == status
    return final.values("warning")


@pytest.mark.parametrize("status", [200, 486])
@pytest.mark.parametrize("headers", [[], LIES], ids=["honest", "lies"])
@on_loop
async def test_record_names_the_trunk_that_has_answered_also_if_it_names_another(
    network: Network, provider: PlayedTrunk, status: int, headers: list[tuple[str, str]]
) -> None:
    """The caller gets none of that: which trunk a call takes is for operators."""
    async with network, provider:
        alice = await network.phone("alice", FE1)
        await invited(alice, TO_OUTSIDE, FROM_ALICE)
        assert await answered(await provider.links.get(), alice, status, *headers) == []
        (record,) = made_at(network, FE1)
        assert (record.status, record.trunk, record.proof) == (status, PROVIDER, "login")
        assert record.media == ("SRTP" if status == 200 else "")
        assert made_at(network, GATEWAY) == []


@on_loop
async def test_phone_names_no_trunk_as_who_has_carried_its_call(network: Network) -> None:
    async with network:
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        await invited(alice, f"sip:bob@{EXAMPLE}", FROM_ALICE)
        assert await answered(bob, alice, 200, *LIES) == []
        (record,) = made_at(network, FE1)
        assert (record.trunk, record.media) == ("", "SRTP")


@on_loop
async def test_call_from_a_trunk_has_it_as_proof_and_forwarded_to_a_trunk_the_other_one_too(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    """The gateway makes the record, and no trunk learns of another one."""
    async with network, provider, pbx:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        await invited(trunk, TO_ALICE, FROM_OUTSIDE)
        await answered(alice, trunk, 486)
        await rules(network, "alice", always=OF_PBX)
        await invited(trunk, TO_ALICE, FROM_OUTSIDE)
        assert await answered(await pbx.links.get(), trunk, 200) == []
        records = [(one.proof, one.trunk, one.status) for one in made_at(network, GATEWAY)]
        assert records == [(f"trunk {PROVIDER}", "", 486), (f"trunk {PROVIDER}", PBX, 200)]
        assert made_at(network, FE1) == []
