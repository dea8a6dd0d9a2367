"""baresip, a real phone, against real servers: it registers, writes and calls, in one organisation and across two."""

from __future__ import annotations

import asyncio

import pytest

from interop.baresip import Baresip
from interop.phones import phone
from sipmesh.demo.network import FE1, FE2, PARTNER_FE, DemoNetwork

pytestmark = pytest.mark.peer("baresip")

SECONDS_OF_TONE = 3.0


async def write_and_call(caller: Baresip, callee: Baresip) -> None:
    """Register both, send a message, and talk over SRTP until each has heard the other's tone."""
    async with caller, callee:
        await caller.registered()
        await callee.registered()
        await caller.command("message", "hello from a phone")
        assert (await callee.event("MESSAGE"))["body"] == "hello from a phone"
        await caller.command("dial", f"sip:{callee.user}@{callee.domain}")
        await caller.event("CALL_ESTABLISHED")
        await callee.event("CALL_ESTABLISHED")
        await asyncio.sleep(SECONDS_OF_TONE)  # not a wait for something: this is how long they talk
        await caller.command("hangup")
        await callee.event("CALL_CLOSED")
    for one, other_tone in ((caller, 880), (callee, 440)):
        assert "SRTP is Enabled" in one.log
        levels = one.heard(440, 660, 880)
        assert max(levels, key=lambda tone: levels[tone]) == other_tone, levels


def test_two_phones_on_two_front_ends_write_and_call_over_srtp(network: DemoNetwork, runner: asyncio.Runner) -> None:
    dora = phone(network, "dora", FE1, tone=440, friend="sip:emil@example.test")
    emil = phone(network, "emil", FE2, tone=880)
    runner.run(write_and_call(dora, emil))


def test_two_phones_of_two_organisations_write_and_call_over_srtp(network: DemoNetwork, runner: asyncio.Runner) -> None:
    dora = phone(network, "dora", FE1, tone=440, friend="sip:fritz@partner.test")
    fritz = phone(network, "fritz", PARTNER_FE, tone=880)
    runner.run(write_and_call(dora, fritz))


@pytest.mark.parametrize("media", ["", "srtp"])
def test_phone_that_may_talk_in_the_clear_gets_488(network: DemoNetwork, runner: asyncio.Runner, media: str) -> None:
    """Without SRTP, or with SRTP as an option (RTP/AVP with a=crypto). With srtp-mand the same call comes up."""
    dora = phone(network, "dora", FE1, records=False, media=media)
    emil = phone(network, "emil", FE2, records=False)

    async def play() -> str:
        async with dora, emil:
            await dora.registered()
            await emil.registered()
            await dora.command("dial", "sip:emil@example.test")
            return str((await dora.event("CALL_CLOSED"))["param"])

    assert "488" in runner.run(play())
    assert "m=audio" in dora.log.partition("\nWarning: 302")[2].partition("\n")[0]
    assert "INVITE sip:" not in emil.log


def test_a_phone_refuses_a_server_under_a_ca_that_it_does_not_know(
    network: DemoNetwork, runner: asyncio.Runner
) -> None:
    """The twin of all the others: the phone checks the chain, so what they prove is not an accident."""
    stranger = phone(network, "dora", FE1, tone=440)
    config = stranger.folder / "config"
    config.write_text(config.read_text().replace(str(network.example.root), str(network.partner.root)))

    async def told_by_the_server() -> list[str]:
        async with stranger, asyncio.timeout(20):
            while not (refused := await network.ask(FE1, "refused")):
                await asyncio.sleep(0.05)
            assert "OK" not in (await stranger.command("reginfo")).get("data", "")
        return [finding["saw"] for finding in refused[0]["findings"] if not finding["passed"]]

    saw = runner.run(told_by_the_server())
    assert any("unknown ca" in one for one in saw), saw
