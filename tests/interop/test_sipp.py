"""SIPp as a trunk by mutual TLS: calls both ways, OPTIONS, withheld callers, and another trunk in place of a full trunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from interop.sipp import ANSWERS, FULL, IN_CALL, PINGED, Files, Sipp, calls, is_refused, pings
from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.trust.evidence import LinkKind
from support.descriptions import SDES, SDP, with_body
from support.network import EXAMPLE, FE1, Network, copied
from support.peer import Peer
from support.running import on_loop
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
    build_models,
    join_trunks,
)

pytestmark = [pytest.mark.peer("sipp"), pytest.mark.wide]

LOOK_AGAIN_S = 0.25
OFFER = [("content-type", SDP)]
OWN = f"sip:{OF_PBX}@{PBX}"
WITHHELD = "sip:anonymous@anonymous.invalid"
HIDES = f"P-Asserted-Identity: <{OWN}>\nPrivacy: id\n"


@pytest.fixture(name="models", scope="module")
def _models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Organisation]:
    return build_models(tmp_path_factory.mktemp("models"))


@asynccontextmanager
async def running(
    models: dict[str, Organisation], folder: Path, **keys: Any
) -> AsyncIterator[tuple[Network, PlayedTrunk, PlayedTrunk, Peer]]:
    """The network with alice, a PBX with the numbers from +4989 on, and a provider for all numbers; SIPp plays both."""
    example = copied(models[EXAMPLE], folder / "example")
    pbx, provider = PlayedTrunk(PBX, models[PBX]), PlayedTrunk(PROVIDER, models[PROVIDER])
    of_pbx = {"asserts": ["+4989"], "carries": ["+4989"], **keys}
    join_trunks(example, (pbx, of_pbx), (provider, {"asserts": ["+"], "carries": ["+"]}))
    async with Network((example,), starts=(FE1, GATEWAY)) as network:
        yield network, pbx, provider, await network.phone("alice", FE1)


def files(network: Network, trunk: PlayedTrunk) -> Files:
    return Files(*trunk.organisation.credentials(trunk.name), network.organisations[0].root)


def caller(folder: Path, network: Network, pbx: PlayedTrunk, steps: str) -> Sipp:
    """SIPp as the PBX, which calls alice."""
    _, gateway = network.address(GATEWAY, LinkKind.PARTNER)
    return Sipp(folder, files(network, pbx), steps, gateway=gateway, number=ALICE)


async def answers(alice: Peer) -> str:
    """Alice answers the call of SIPp, which hangs up; give who called."""
    came = await alice.request_in("INVITE")
    await alice.reply(came, 180)
    await alice.reply(came, 200, OFFER, SDES)
    await alice.request_in("ACK")
    await alice.reply(await alice.request_in("BYE"), 200)
    return came.from_.uri


async def calls_out(alice: Peer, *headers: tuple[str, str]) -> None:
    """Alice calls a number of the PBX, and hangs up."""
    sender = f"<sip:alice@{EXAMPLE}>;tag={alice.tag}"
    await alice.send(invite := alice.request("INVITE", f"tel:{OF_PBX}", [*OFFER, *headers], SDES, sender=sender))
    final = await alice.final()
    assert (final.status, final.body) == (200, SDES)
    dialog = Dialog.of_caller(invite, final)
    await alice.send(inside_of(dialog, alice, "ACK"))
    await alice.send(inside_of(dialog, alice, "BYE"))
    assert (await alice.final(method="BYE")).status == 200


@on_loop
async def test_sipp_pings_the_gateway_and_calls_a_user(models: dict[str, Organisation], tmp_path: Path) -> None:
    """A withheld caller stays so; a number of another trunk gets 403, and the phone does not ring."""
    async with running(models, tmp_path) as (network, pbx, _, alice):
        async with caller(tmp_path / "pings", network, pbx, pings(GATEWAYS, OWN)) as sipp:
            await sipp.finished()
        async with caller(tmp_path / "calls", network, pbx, calls(GATEWAYS, OWN)) as sipp:
            assert await answers(alice) == OWN
            await sipp.finished()
        async with caller(tmp_path / "hides", network, pbx, calls(GATEWAYS, WITHHELD, HIDES)) as sipp:
            assert await answers(alice) == WITHHELD
            await sipp.finished()
        foreign = is_refused(GATEWAYS, f"sip:{OUTSIDE}@{PBX}", 403)
        async with caller(tmp_path / "foreign", network, pbx, foreign) as sipp:
            await sipp.finished()
        await alice.silent()


@on_loop
async def test_user_calls_sipp(models: dict[str, Organisation], tmp_path: Path) -> None:
    """It sees the number of the caller; a withheld caller is in P-Asserted-Identity alone."""
    async with (
        running(models, tmp_path) as (network, pbx, _, alice),
        Sipp(tmp_path / "answers", files(network, pbx), ANSWERS, port=pbx.port, times=2) as sipp,
    ):
        await calls_out(alice)
        await calls_out(alice, ("privacy", "id"))
        shown, hidden = [part for part in (await sipp.finished()).split("INVITE sip:") if part.startswith(OF_PBX)]
        assert f"From: <sip:{ALICE}@{GATEWAYS};user=phone>" in shown
        assert f"From: <{WITHHELD}>" in hidden
        assert f"P-Asserted-Identity: <sip:{ALICE}@{GATEWAYS};user=phone>" in hidden


@on_loop
async def test_user_hears_early_media_of_sipp_holds_presses_a_key_and_transfers(
    models: dict[str, Organisation], tmp_path: Path
) -> None:
    async with (
        running(models, tmp_path) as (network, pbx, _, alice),
        Sipp(tmp_path / "answers", files(network, pbx), IN_CALL, port=pbx.port) as sipp,
    ):
        invite = alice.request("INVITE", f"tel:{OF_PBX}", OFFER, SDES, sender=f"<sip:alice@{EXAMPLE}>;tag={alice.tag}")
        await alice.send(invite)
        while (early := await alice.receive()) and getattr(early, "status", 0) == 100:
            pass
        assert (getattr(early, "status", 0), early.body) == (183, SDES)
        dialog = Dialog.of_caller(invite, await alice.final())
        await alice.send(inside_of(dialog, alice, "ACK"))
        await alice.send(with_body(inside_of(dialog, alice, "INVITE"), SDES + b"a=sendonly\r\n"))
        assert (await alice.final(method="INVITE")).status == 200
        await alice.send(inside_of(dialog, alice, "ACK"))
        key = with_body(inside_of(dialog, alice, "INFO"), b"Signal=7\r\n", "application/dtmf-relay")
        assert (await alice.ask(key)).status == 200
        refer = inside_of(dialog, alice, "REFER")
        refer.append("refer-to", f"<sip:{OUTSIDE}@{PROVIDER}>")
        assert (await alice.ask(refer)).status == 202
        assert (await alice.ask(inside_of(dialog, alice, "BYE"))).status == 200
        told = await sipp.finished()
        assert "a=sendonly" in told
        assert "Signal=7" in told


@on_loop
async def test_sipp_hears_early_media_holds_and_presses_a_key_and_may_not_transfer(
    models: dict[str, Organisation], tmp_path: Path
) -> None:
    async with (
        running(models, tmp_path) as (network, pbx, _, alice),
        caller(tmp_path / "calls", network, pbx, calls(GATEWAYS, OWN, operates=True)) as sipp,
    ):
        came = await alice.request_in("INVITE")
        await alice.reply(came, 183, OFFER, SDES)
        await alice.reply(came, 200, OFFER, SDES)
        await alice.request_in("ACK")
        held = await alice.request_in("INVITE")
        assert b"a=sendonly" in held.body
        await alice.reply(held, 200, OFFER, SDES)
        await alice.request_in("ACK")
        key = await alice.request_in("INFO")
        assert b"Signal=7" in key.body
        await alice.reply(key, 200)
        await alice.reply(await alice.request_in("BYE"), 200)
        assert "SIP/2.0 405" in await sipp.finished()


@on_loop
async def test_gateway_pings_sipp(models: dict[str, Organisation], tmp_path: Path) -> None:
    async with (
        running(models, tmp_path, ping=5) as (network, pbx, _, _alice),
        Sipp(tmp_path / "pinged", files(network, pbx), PINGED, port=pbx.port) as sipp,
    ):
        sweep = network.nodes[GATEWAY].sweep
        sweep.tick()
        known = network.nodes[GATEWAY].trunk_watch.trunks[PBX]
        first = known.ping_at
        while known.ping_at == first or known.pings:
            sweep.tick()
            await asyncio.sleep(LOOK_AGAIN_S)
        assert "OPTIONS sip:" in await sipp.finished()
        assert network.nodes[GATEWAY].core.state.trunk_outages.last((PBX, PROVIDER)) == [PBX, PROVIDER]


@on_loop
async def test_call_that_sipp_refuses_with_503_passes_another_trunk(
    models: dict[str, Organisation], tmp_path: Path
) -> None:
    async with (
        running(models, tmp_path) as (network, pbx, provider, alice),
        Sipp(tmp_path / "full", files(network, pbx), FULL, port=pbx.port) as full,
        Sipp(tmp_path / "answers", files(network, provider), ANSWERS, port=provider.port) as other,
    ):
        await calls_out(alice)
        assert "SIP/2.0 503" in await full.finished()
        assert f"INVITE sip:{OF_PBX}@{PROVIDER}" in await other.finished()
