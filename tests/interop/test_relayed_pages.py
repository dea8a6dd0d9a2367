"""A page outside and a page inside, which reach each other only by a real TURN server."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from interop.chromium import BUNDLES, WebPhone
from interop.coturn import Coturn
from interop.matrix.stage import Stage, stage
from interop.test_browsers import has_audio, talk
from sipmesh.demo.network import EDGE, EXAMPLE, FE1, DemoNetwork
from sipmesh.pki import files
from sipmesh.server.proxy.events.turn_credentials import password
from support.web_peer import web_address

pytestmark = [
    pytest.mark.soak,
    pytest.mark.peer("coturn"),
    pytest.mark.peer("chromium"),
    pytest.mark.peer("certutil"),
    pytest.mark.peer("npm"),
]

SECRET = b"secret of coturn"
ICE_SERVERS = re.compile(r'\{"iceServers": .*\}')
PATIENCE_S = 60.0


@pytest.fixture(name="phones", scope="module")
def _phones(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[tuple[Stage, Coturn]]:
    assert (BUNDLES / "done").exists(), "the pages are not bundled: make browsers"
    folder = tmp_path_factory.mktemp("r")

    def name_relay(network: DemoNetwork) -> None:
        network.example.document["turn"] = {"servers": [coturn.url], "secret_file": "secrets/turn"}
        (network.example.folder / "secrets").mkdir(exist_ok=True)
        files.write(network.example.folder / "secrets" / "turn", SECRET, files.SECRET)

    with Coturn(folder / "coturn", SECRET.decode()) as coturn:
        network = stage(folder, pages=True, loopback=False, prepare=name_relay)
        yield runner.run(network.__aenter__()), coturn
        runner.run(network.__aexit__(None, None, None))


async def relayed(phones: Stage, library: str, user: str, server: str) -> tuple[WebPhone, Any]:
    """A page of *user* at *server* that sends media by the TURN servers of its profile only; with the profile."""
    page = await phones.browser.page(library)
    name = {FE1: EXAMPLE}.get(server, server)
    await page.start(f"wss://{name}:{web_address(phones.network.example, server)[1]}", user, EXAMPLE)
    await page.until("registered")
    await page.do("subscribe", "ua-profile", f"sip:{user}@{EXAMPLE}", "application/json")
    while not (found := ICE_SERVERS.search(await page.trace())):
        await asyncio.sleep(0.05)
    profile = json.loads(found[0])
    await page.do("relay", profile["iceServers"])
    return page, profile


@pytest.mark.parametrize(("outside", "inside"), [("jssip", "sipjs"), ("sipjs", "jssip")])
def test_remote_user_and_user_inside_hear_each_other_by_the_relay(
    phones: tuple[Stage, Coturn], runner: asyncio.Runner, outside: str, inside: str
) -> None:
    """Alice is at the edge. Each gets credentials of its own, and each calls the other."""
    place, coturn = phones

    async def play() -> None:
        async with asyncio.timeout(PATIENCE_S):
            alice, hers = await relayed(place, outside, "alice", EDGE)
            bob, his = await relayed(place, inside, "bob", FE1)
            names = [profile["iceServers"][0]["username"].partition(":")[2] for profile in (hers, his)]
            assert names == [f"alice@{EXAMPLE}", f"bob@{EXAMPLE}"]
            for caller, callee, uri in ((alice, bob, f"sip:bob@{EXAMPLE}"), (bob, alice, f"sip:alice@{EXAMPLE}")):
                figures = await talk(caller, callee, uri)
                assert all(map(has_audio, figures)), figures
                assert {figure["relay"] for figure in figures} == {coturn.url}
                print(outside, "at the edge and", inside, "inside, by coturn", figures)  # noqa: T201 - as in test_browsers
                await caller.until("ended")
            for page in (alice, bob):
                await page.close()

    runner.run(play())


def test_page_with_credentials_that_have_ended_reaches_no_other_page(
    phones: tuple[Stage, Coturn], runner: asyncio.Runner
) -> None:
    """The same front end has made them, and they ended a minute ago: coturn gives the page no address."""
    place, coturn = phones

    async def play() -> None:
        async with asyncio.timeout(PATIENCE_S):
            alice, profile = await relayed(place, "jssip", "alice", EDGE)
            assert await alice.evaluate("phone.candidates()") > 0
            name = f"{int(time.time()) - 60}:alice@{EXAMPLE}"
            relay = {**profile["iceServers"][0], "username": name, "credential": password(SECRET, name)}
            await alice.do("relay", [relay])
            assert await alice.evaluate("phone.candidates()") == 0
            await alice.close()
        assert f"Cannot find credentials of user <{name}>" in coturn.log

    runner.run(play())
