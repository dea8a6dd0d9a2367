"""What the tests with real phones share: a loop, and the two organisations of the demo, which run once for each module."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from interop.chromium import BUNDLES, Chromium
from interop.coturn import Coturn
from interop.phones import ask_for_signatures, started
from interop.web_phones import SECRET, Place
from sipmesh.demo.network import FE1, FE2, DemoNetwork
from sipmesh.pki import files
from sipmesh.server.web_phone.files import BUNDLE
from sipmesh.sip.digest import Algorithm
from support.web_peer import open_websocket


@pytest.fixture(name="runner", scope="module")
def _runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(name="network", scope="module")
def _network(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[DemoNetwork]:
    """The demo's two organisations, with users whose phones know no digest but MD5."""
    network = runner.run(started(tmp_path_factory.mktemp("n")))  # short: sockets lie in it
    yield network
    runner.run(network.stop())


@pytest.fixture(name="coturn", scope="module")
def _coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    with Coturn(tmp_path_factory.mktemp("t") / "coturn", SECRET.decode()) as coturn:
        yield coturn


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner, coturn: Coturn) -> Iterator[Place]:
    """Both organisations, with the web phone on the front ends of example.test, and a browser that trusts its root.

    Pages with JsSIP may connect, too.
    """
    assert (BUNDLE / "phone.js").exists(), "the web phone is not built: make browsers"
    assert (BUNDLES / "done").exists(), "the pages are not bundled: make browsers"
    folder = tmp_path_factory.mktemp("w")
    network = runner.run(DemoNetwork.build(folder))
    network.example.add_users("gina", algorithms=(Algorithm.MD5,))
    network.dns.records[FE1, "A"] = ["127.0.0.1"]
    ask_for_signatures(network, "verify")
    browser = Chromium(folder / "chromium", network.example.root, (FE1, FE2), loopback=False)
    open_websocket(network.example, phone=True, origins=[runner.run(browser.serve())])
    network.example.document["turn"] = {"servers": [coturn.url], "secret_file": "secrets/turn"}
    network.example.write()
    (network.example.folder / "secrets").mkdir(exist_ok=True)
    files.write(network.example.folder / "secrets" / "turn", SECRET, files.SECRET)
    runner.run(network.start())
    runner.run(browser.__aenter__())
    yield network, browser
    runner.run(browser.__aexit__(None, None, None))
    runner.run(network.stop())
