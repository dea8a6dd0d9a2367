"""The pages beside the demo: each link that is printed leads to its page."""

from __future__ import annotations

import asyncio
import io
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rich.console import Console
from yarl import URL

from sipmesh.demo.network import FE1, FE2, DemoNetwork
from sipmesh.demo.run import _go_on, _perform
from sipmesh.demo.score import Score
from sipmesh.demo.web import CALLERS, MGMT, show_pages
from sipmesh.server.web_phone import files
from sipmesh.trust.evidence import LinkKind
from support.peer import Peer
from support.running import PATIENCE_S


@pytest.fixture(name="runner", scope="module")
def _runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(name="network", scope="module")
def _network(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[DemoNetwork]:
    """Management and the front ends of example.test, as `demo --web` builds them."""
    network = runner.run(DemoNetwork.build(tmp_path_factory.mktemp("d"), web=True))
    try:
        runner.run(network.start(MGMT, FE1, FE2))
        yield network
    finally:
        runner.run(network.stop())


async def printed(network: DemoNetwork) -> list[str]:
    """The links that the demo prints."""
    console = Console(file=io.StringIO(), width=200)
    await show_pages(network, Score(console))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert ("not built" in text) is not files.is_built()
    return re.findall(r"https://\S+", text)


async def map_of(network: DemoNetwork) -> str:
    """The map as a viewer sees it who has logged in by the link."""
    url = (await printed(network))[0]
    context = ssl.create_default_context(cafile=str(network.example.root))
    context.check_hostname = False
    connector, jar = aiohttp.TCPConnector(ssl=context), aiohttp.CookieJar(unsafe=True)
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session,
        session.post(url.partition("#")[0], data={"code": url.partition("#")[2]}) as first,
        session.get(first.url.join(URL("/map"))) as answer,
    ):
        assert 'href="/map"' in await first.text()
        return await answer.text()


@pytest.mark.wide
def test_link_to_the_console_logs_a_viewer_in(network: DemoNetwork, runner: asyncio.Runner) -> None:
    assert 'id="map"' in runner.run(map_of(network))


@pytest.mark.wide
def test_links_to_the_phones_lead_to_two_front_ends(network: DemoNetwork, runner: asyncio.Runner) -> None:
    async def visit() -> None:
        _, *phones = await printed(network)
        assert [url.partition("#")[2] for url in phones] == [f"{user}@example.test" for user in CALLERS]
        context = ssl.create_default_context(cafile=str(network.example.root))
        context.check_hostname = False
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            for url in phones:
                async with session.get(url) as answer:
                    assert answer.status == (200 if files.is_built() else 503)

    runner.run(visit())


def test_users_of_the_phones_can_log_in(network: DemoNetwork, runner: asyncio.Runner) -> None:
    async def log_in() -> None:
        for user in CALLERS:
            address = network.example.address(FE1, LinkKind.CLIENT)
            async with await Peer.open(address, f"{user}@example.test") as peer:
                assert (await peer.register()).status == 200  # they are there once the network has started

    runner.run(asyncio.wait_for(log_in(), PATIENCE_S))


@pytest.mark.soak
def test_each_act_is_as_expected_under_management_and_the_map_shows_impostors(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The managed network refuses the same impostors with the same codes."""
    folder = tmp_path_factory.mktemp("a")  # short: sockets lie in it

    async def play() -> Score:
        network, score = await DemoNetwork.build(folder, web=True), Score(Console(file=io.StringIO()))
        try:
            await network.start()
            await _perform(network, score, folder / "findings", _go_on)
            async with asyncio.timeout(60):
                while "wrong-usage at edge1.example.test" not in await map_of(network):
                    await asyncio.sleep(1)  # the edge reports every ten seconds
        finally:
            await network.stop()
        return score

    score = asyncio.run(play())
    assert score.wrong == []
    assert score.right > 70


@pytest.mark.wide
def test_demo_without_pages_has_no_management(tmp_path: Path) -> None:
    async def build() -> DemoNetwork:
        network = await DemoNetwork.build(tmp_path)
        network.dns.close()
        return network

    network = asyncio.run(build())
    document: dict[str, Any] = network.example.document
    assert not network.is_managed
    assert not {"console", "websocket"} & document.keys()
