"""baresip, a real phone, against real servers: it registers, writes and calls, in one organisation and across two."""

from __future__ import annotations

import asyncio
import re

import pytest

from interop.baresip import PATIENCE_S, Baresip
from interop.phones import phone
from sipmesh.demo.network import FE1, FE2, PARTNER_FE, DemoNetwork
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from support.peer import Peer
from support.running import LOOK_AGAIN_S

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


@pytest.mark.wide
def test_two_phones_of_two_organisations_write_and_call_over_srtp(network: DemoNetwork, runner: asyncio.Runner) -> None:
    dora = phone(network, "dora", FE1, tone=440, friend="sip:fritz@partner.test")
    fritz = phone(network, "fritz", PARTNER_FE, tone=880)
    runner.run(write_and_call(dora, fritz))


@pytest.mark.parametrize("media", ["", "srtp"])
@pytest.mark.wide
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
    """The control of all the others: the phone checks the chain, so what they prove is not an accident."""
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


@pytest.mark.wide
def test_phone_is_called_by_the_number_of_its_user(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """As a phone writes a number that was dialled; an unknown number gets 404."""
    users = Users(network.example.load().users_url)
    users.add_alias("emil@example.test", "+49 30 123")
    users.close()
    dora, emil = phone(network, "dora", FE1, records=False), phone(network, "emil", FE2, records=False)

    async def play() -> str:
        for server in (FE1, FE2):
            await network.ask(server, "users-changed")
        async with dora, emil:
            await dora.registered()
            await emil.registered()
            await dora.command("dial", "sip:+49-30-123@example.test;user=phone")
            await emil.event("CALL_ESTABLISHED")
            await dora.command("hangup")
            await emil.event("CALL_CLOSED")
            await dora.event("CALL_CLOSED")
            await dora.command("dial", "sip:+49-30-124@example.test;user=phone")
            return str((await dora.event("CALL_CLOSED"))["param"])

    assert "404" in runner.run(play())


@pytest.mark.wide
def test_message_to_a_phone_that_is_off_arrives_when_it_is_switched_on(
    network: DemoNetwork, runner: asyncio.Runner
) -> None:
    dora = phone(network, "dora", FE1, records=False, friend="sip:emil@example.test")
    emil = phone(network, "emil", FE2, records=False)

    async def play() -> list[str]:
        async with dora:
            await dora.registered()
            for text in ("first", "second"):
                await dora.command("message", text)
            async with (
                emil,
                asyncio.timeout(PATIENCE_S),
            ):  # and dora stays: its commands return before its messages are sent
                while (
                    len(found := re.findall(r"\n\n(first|second)", emil.log)) < 2
                ):  # an event may come before a test listens
                    await asyncio.sleep(LOOK_AGAIN_S)
                return found

    assert runner.run(play()) == ["first", "second"]


@pytest.mark.wide
def test_phone_sees_its_friend_come_and_go(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """It subscribes to its friend's presence and to its own waiting messages; both publish."""
    dora = phone(network, "dora", FE1, records=False, friend="sip:emil@example.test", watches=True)
    emil = phone(network, "emil", FE2, records=False, watches=True)

    async def shows(status: str) -> None:
        while status not in (await dora.command("contacts")).get("data", ""):
            await asyncio.sleep(LOOK_AGAIN_S)

    async def play() -> None:
        async with asyncio.timeout(PATIENCE_S), dora:
            await dora.registered()
            async with emil:
                await emil.registered()
                await shows("Online")
            await shows("Offline")

    runner.run(play())
    assert "PUBLISH sip:" in emil.log
    assert "Messages-Waiting: no" in dora.log


OFFER = b"""v=0\r
o=- 1 1 IN IP4 127.0.0.1\r
s=-\r
c=IN IP4 127.0.0.1\r
t=0 0\r
m=audio 40000 RTP/SAVP 0\r
a=rtpmap:0 PCMU/8000\r
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\r
"""


def test_phone_ends_a_call_whose_caller_hides(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """The phone sends its BYE to a Contact that only our server can open; the caller gets its own one."""
    emil = phone(network, "emil", FE2, records=False)

    async def play() -> tuple[str, str]:
        address = network.example.address(FE1, LinkKind.CLIENT)
        async with emil, await Peer.open(address, "gina@example.test") as gina:
            await emil.registered()
            assert (await gina.register()).status == 200
            hidden = f"<sip:anonymous@anonymous.invalid>;tag={gina.tag}"
            media = [("content-type", "application/sdp"), ("privacy", "id")]
            await gina.send(gina.request("INVITE", "sip:emil@example.test", media, OFFER, sender=hidden))
            taken = await gina.final()
            assert taken.status == 200
            routes = [("route", value) for value in reversed(taken.values("record-route"))]
            target, to = taken.contacts[0].uri, taken.first("to")
            cseq, call_id = taken.cseq.number, taken.call_id
            await gina.send(gina.request("ACK", target, routes, sender=hidden, to=to, call_id=call_id, cseq=cseq))
            await emil.event("CALL_ESTABLISHED")
            await emil.command("hangup")
            bye = await gina.request_in("BYE")
            await gina.reply(bye, 200)
            return bye.uri, gina.contact

    asked, contact = runner.run(play())
    assert f"<{asked}>" == contact
    assert "gina" not in emil.log
