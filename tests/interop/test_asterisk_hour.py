"""Asterisk with its default settings beside a gateway for an hour: calls both ways, a restart, a revocation, a renewal."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest

from interop.asterisk import Asterisk
from interop.test_asterisk import ECHO, OFFER, answered, calls_again, ends, invite_of, is_called, revoke, running
from sipmesh.sip.message import Response
from support.descriptions import SDES
from support.network import FE1, Network
from support.peer import Peer
from support.running import until, within
from support.trunks import ALICE, OF_PBX, PBX, build_gateway, build_trunk

pytestmark = [pytest.mark.peer("asterisk"), pytest.mark.soak]

LOG = logging.getLogger(__name__)
MINUTES = float(os.environ.get("SIPMESH_ASTERISK_MINUTES", "5"))
"""How long it takes: 60 for an hour. Keepalives of Asterisk come each 90 s, and session timers each 900 s."""
PAUSE_S = 15.0


async def call_both_ways(alice: Peer, asterisk: Asterisk) -> None:
    """One call in each direction."""
    await ends(alice, await answered(alice, invite_of(alice, ECHO)))
    assert (await is_called(alice, asterisk, ALICE)).from_.uri == f"sip:{OF_PBX}@{PBX}"


async def stays_in_call(phone: Peer, heard: list[str]) -> None:
    """Answer what Asterisk sends inside a call, as a phone does, until its BYE."""
    while True:
        came = await phone.receive()
        if isinstance(came, Response):
            continue
        heard.append(came.method)
        if came.method != "ACK":
            body = [("content-type", "application/sdp")] if came.method == "INVITE" else []
            await phone.reply(came, 200, body, came.body if body else b"")
        if came.method == "BYE":
            return


async def talks(network: Network) -> tuple[asyncio.Task[None], list[str]]:
    """A call of bob to Asterisk that bob does not end."""
    bob = await network.phone("bob", FE1)
    heard: list[str] = []
    await answered(bob, bob.request("INVITE", f"tel:{ECHO}", OFFER, SDES))
    return asyncio.create_task(stays_in_call(bob, heard)), heard


@within(60 * MINUTES + 300)
async def test_asterisk_with_its_defaults_for_an_hour(tmp_path: Path) -> None:
    """A call stays up, calls come and go, Asterisk is restarted in the middle; then it is revoked in a call, and renewed."""
    models = build_gateway(tmp_path / "example"), build_trunk(tmp_path / "pbx", PBX)
    loop = asyncio.get_running_loop()
    async with running(models, tmp_path) as (network, asterisk, alice):
        await asterisk.logged("is now Reachable")
        talk, heard = await talks(network)
        begun, count, is_restarted = loop.time(), 0, False
        while (passed := loop.time() - begun) < 60 * MINUTES:
            if passed >= 30 * MINUTES and not is_restarted:
                LOG.info("%.0f s: %d calls each way; in the long call: %s; Asterisk restarts", passed, count, heard)
                talk.cancel()
                await asterisk.restarts()
                await calls_again(alice)
                talk, heard = await talks(network)
                is_restarted = True
            assert (await alice.register()).status == 200  # her registration lasts ten minutes
            await call_both_ways(alice, asterisk)
            count += 1
            await asyncio.sleep(PAUSE_S)
        assert not talk.done()
        LOG.info("%.0f s: %d calls each way; in the long call: %s", loop.time() - begun, count, heard)
        revoke(network, models[1])
        await until(talk.done)
        assert heard[-1] == "BYE"
        LOG.info("revoked in a call: the phone got a BYE")
        await alice.send(invite_of(alice, ECHO))
        refused = (await alice.final(method="INVITE")).status
        assert refused >= 400
        await asterisk.calls(ALICE)
        await alice.silent()
        models[1].issue(PBX)
        await asterisk.restarts()
        await calls_again(alice)
        await call_both_ways(alice, asterisk)
        LOG.info("revoked: calls got %d, none came in; renewed: calls both ways", refused)
