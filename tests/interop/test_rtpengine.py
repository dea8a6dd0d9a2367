"""A real rtpengine between a browser, whose media are keyed by DTLS, and a phone that knows SDES only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from interop.baresip import Baresip
from interop.chromium import BUNDLES, Chromium
from interop.phones import phone
from interop.rtpengine import Rtpengine
from interop.test_browsers import DOMAIN, PACKETS, has_audio, present, registered
from sipmesh.demo.network import FE1, DemoNetwork
from sipmesh.sip.digest import Algorithm
from support.web_peer import open_websocket
from transport.authority import Authority

pytestmark = [
    pytest.mark.soak,
    pytest.mark.peer("rtpengine"),
    pytest.mark.peer("baresip"),
    pytest.mark.peer("chromium"),
    pytest.mark.peer("certutil"),
    pytest.mark.peer("npm"),
]


@pytest.fixture(name="browser", scope="module")
def _browser(
    tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner
) -> Iterator[tuple[DemoNetwork, Chromium, Rtpengine]]:
    """A front end with rtpengine beside it, and a browser."""
    assert (BUNDLES / "done").exists(), "the pages are not bundled: make browsers"
    folder = tmp_path_factory.mktemp("b")
    with Rtpengine(folder / "rtpengine") as rtpengine:
        network = runner.run(DemoNetwork.build(folder / "n"))
        network.example.add_users("dora", "emil", "gina", algorithms=(Algorithm.MD5,))
        network.dns.records[FE1, "A"] = ["127.0.0.1"]
        public = Authority.create(folder / "public", "Public CA")
        present(network.example, public.issue(DOMAIN))
        root = folder / "public" / "root.pem"
        root.write_bytes(public.root.public_bytes(Encoding.PEM))
        browser = Chromium(folder / "chromium", root, (DOMAIN, FE1), loopback=False)
        origin = runner.run(browser.serve())
        document: dict[str, Any] = network.example.document
        document["pools"][0]["rtpengine"] = rtpengine.port
        open_websocket(network.example, origins=[origin])
        runner.run(network.start(FE1))
        runner.run(browser.__aenter__())
        yield network, browser, rtpengine
        runner.run(browser.__aexit__(None, None, None))
        runner.run(network.stop())


def sdes_phone(network: DemoNetwork) -> Baresip:
    return phone(network, "gina", FE1, tone=440, friend=f"sip:dora@{DOMAIN}", media="srtp-mand")


async def ended(rtpengine: Rtpengine) -> None:
    """Wait until rtpengine has no call."""
    async with asyncio.timeout(20):
        while rtpengine.calls():
            await asyncio.sleep(0.05)


def test_browser_and_sdes_phone_call_each_other_and_both_count_octets(
    browser: tuple[DemoNetwork, Chromium, Rtpengine], runner: asyncio.Runner
) -> None:
    network, chromium, rtpengine = browser
    gina = sdes_phone(network)

    async def play() -> None:
        dora = await registered(network, chromium, "jssip", "dora")
        async with gina:
            await gina.registered()
            await dora.call(f"sip:gina@{DOMAIN}")
            await gina.event("CALL_ESTABLISHED")
            await dora.until("confirmed")
            figures = await dora.media(PACKETS)
            assert has_audio(figures), figures
            await gina.hears(PACKETS)
            assert rtpengine.calls() == 1
            await dora.hang_up()
            await gina.event("CALL_CLOSED")
            await ended(rtpengine)
            await gina.command("dial", f"sip:dora@{DOMAIN}")
            await gina.event("CALL_ESTABLISHED")
            await dora.until("confirmed")
            figures = await dora.media(PACKETS)
            assert has_audio(figures), figures
            await gina.hears(PACKETS)
            await gina.command("hangup")
            await dora.until("ended")
            await ended(rtpengine)
        await dora.evaluate("phone.stop()")

    runner.run(play())
    assert "SRTP is Enabled" in gina.log
