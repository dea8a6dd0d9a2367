"""JsSIP and SIP.js in Chromium: they register, write, and call each other and a phone, with DTLS-SRTP and ICE."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from interop.baresip import Baresip
from interop.chromium import BUNDLES, Chromium, WebPhone
from interop.hosts_file import require_namespaces
from interop.linphone import Linphone
from interop.phones import phone
from interop.tables import WRITES, Table
from sipmesh.demo.network import FE1, DemoNetwork
from sipmesh.demo.organisation import Organisation
from sipmesh.sip.digest import Algorithm
from sipmesh.transport.tls.contexts import Identity
from sipmesh.trust.evidence import LinkKind
from support.web_peer import open_websocket, web_address
from transport.authority import Authority

pytestmark = [pytest.mark.soak, pytest.mark.peer("chromium"), pytest.mark.peer("certutil"), pytest.mark.peer("npm")]

DOMAIN = "example.test"
TABLE = Table("audio")
NAMES = {"jssip": "JsSIP", "sipjs": "SIP.js"}
MOST_CRASHES = 8
PACKETS = 60
"""More than a second of audio in each direction."""


@pytest.fixture(name="runner", scope="module")
def _runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(name="browser", scope="module")
def _browser(
    tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner
) -> Iterator[tuple[DemoNetwork, Chromium]]:
    """A front end, and a browser that knows a public CA and not ours; the front end has a certificate of that CA, too."""
    assert (BUNDLES / "done").exists(), "the pages are not bundled: make browsers"
    folder = tmp_path_factory.mktemp("b")
    network = runner.run(_network(folder))
    public = Authority.create(folder / "public", "Public CA")
    present(network.example, public.issue(DOMAIN))
    root = folder / "public" / "root.pem"
    root.write_bytes(public.root.public_bytes(Encoding.PEM))
    browser = Chromium(folder / "chromium", root, (DOMAIN, FE1), loopback=False)
    origin = runner.run(browser.serve())
    open_websocket(network.example, origins=[origin])
    runner.run(network.start(FE1))
    runner.run(browser.__aenter__())
    yield network, browser
    runner.run(browser.__aexit__(None, None, None))
    runner.run(network.stop())


def present(example: Organisation, identity: Identity, server_name: str = FE1) -> None:
    """Have a server present a further certificate to clients."""
    document: dict[str, Any] = example.document
    servers = (server for pool in document["pools"] for server in pool["servers"])
    pair = {"certificate": str(identity.chain_path), "key": str(identity.key_path)}
    presents = next(server for server in servers if server["name"] == server_name)
    presents.setdefault("client_certificates", []).append(pair)


async def _network(folder: Path) -> DemoNetwork:
    network = await DemoNetwork.build(folder)
    network.example.add_users("dora", "emil", "gina", algorithms=(Algorithm.MD5,))
    network.dns.records[FE1, "A"] = ["127.0.0.1"]
    return network


async def registered(network: DemoNetwork, browser: Chromium, library: str, user: str) -> WebPhone:
    page = await browser.page(library)
    port = web_address(network.example, FE1)[1]
    await page.start(f"wss://{DOMAIN}:{port}", user, DOMAIN)
    await page.until("registered")
    return page


async def talk(caller: WebPhone, callee: WebPhone, uri: str) -> list[dict[str, object]]:
    """Call, wait for the media of both sides, and end the call; gives the figures of both."""
    await caller.call(uri)
    await callee.until("confirmed")
    await caller.until("confirmed")
    figures = [await one.media(PACKETS) for one in (caller, callee)]
    await caller.hang_up()
    await callee.until("ended")
    return figures


def has_audio(figures: dict[str, object]) -> bool:
    sent, received = int(str(figures["sent"])), int(str(figures["received"]))
    return sent > 1_000 and received > 1_000 and figures["dtls"] == "connected" and "SRTP" in str(figures["srtp"])


def counted(figures: dict[str, Any], received: str = "") -> str:
    """Show the octets that one side has sent and received. *received* is the unit of the second figure, "" for octets."""
    return f"{int(figures['sent']):,}, {int(figures['received']):,}{received and f' {received}'}"


def write(call: str, caller: str, callee: str) -> None:
    """Put what both sides have counted into the page, if that is asked for."""
    if WRITES in os.environ:
        TABLE.write(call, caller, callee)


@pytest.mark.parametrize(("one", "other"), [("jssip", "sipjs"), ("sipjs", "jssip")])
def test_pages_of_two_libraries_write_and_call(
    browser: tuple[DemoNetwork, Chromium], runner: asyncio.Runner, one: str, other: str
) -> None:
    async def play() -> None:
        dora = await registered(*browser, one, "dora")
        emil = await registered(*browser, other, "emil")
        await dora.write(f"sip:emil@{DOMAIN}", "h\u00e9llo \u2713")
        assert await emil.until("message") == "h\u00e9llo \u2713"
        assert await dora.until("sent") == "200"
        figures = await talk(dora, emil, f"sip:emil@{DOMAIN}")
        assert all(map(has_audio, figures)), figures
        write(f"{NAMES[one]} calls {NAMES[other]}", *map(counted, figures))
        for page in (dora, emil):
            await page.evaluate("phone.stop()")

    runner.run(play())


async def called_by(caller: Baresip, page: WebPhone) -> None:
    """Have a phone call a page. SIP.js is left out: its ICE checks come before its answer, which baresip 1.1.0 mixes up."""
    await caller.command("dial", f"sip:dora@{DOMAIN}")
    await caller.event("CALL_ESTABLISHED")
    await page.until("confirmed")
    figures = await page.media(PACKETS)
    assert has_audio(figures), figures
    write("baresip calls JsSIP", counted(await caller.counted(), "packets"), counted(figures))
    await caller.command("hangup")
    await page.until("ended")


@pytest.mark.peer("baresip")
@pytest.mark.parametrize("library", ["jssip", "sipjs"])
def test_page_and_baresip_write_and_call(
    browser: tuple[DemoNetwork, Chromium], runner: asyncio.Runner, library: str
) -> None:
    network = browser[0]
    gina = phone(network, "gina", FE1, tone=440, friend=f"sip:dora@{DOMAIN}", media="dtls_srtp", ice=True)

    async def play(gina: Baresip) -> None:
        dora = await registered(*browser, library, "dora")
        async with gina:
            await gina.registered()
            await dora.write(f"sip:gina@{DOMAIN}", "to a phone")
            assert (await gina.event("MESSAGE"))["body"] == "to a phone"
            await gina.command("message", "to a page")
            assert await dora.until("message") == "to a page"
            await dora.call(f"sip:gina@{DOMAIN}")
            await gina.event("CALL_ESTABLISHED")
            await dora.until("confirmed")
            figures = await dora.media(PACKETS)
            assert has_audio(figures), figures
            await gina.hears(PACKETS)
            write(f"{NAMES[library]} calls baresip", counted(figures), counted(await gina.counted(), "packets"))
            await dora.hang_up()
            await gina.event("CALL_CLOSED")
            assert "DTLS-SRTP complete" in gina.log
        await dora.evaluate("phone.stop()")

    runner.run(play(gina))


@pytest.mark.peer("baresip")
def test_baresip_calls_a_page(browser: tuple[DemoNetwork, Chromium], runner: asyncio.Runner) -> None:
    """On a busy machine, baresip 1.1.0 crashes in one of three answers of a page with ICE: then another one calls."""
    network = browser[0]

    async def play() -> None:
        for _ in range(MOST_CRASHES):
            gina = phone(network, "gina", FE1, tone=440, friend=f"sip:dora@{DOMAIN}", media="dtls_srtp", ice=True)
            dora = await registered(*browser, "jssip", "dora")
            try:
                async with gina:
                    await gina.registered()
                    await called_by(gina, dora)
                    return
            except (TimeoutError, OSError):
                assert gina.has_crashed
            finally:
                await dora.evaluate("phone.stop()")
        pytest.fail(f"baresip has crashed {MOST_CRASHES} times")

    runner.run(play())


@pytest.mark.peer("linphone")
@pytest.mark.parametrize("library", ["jssip", "sipjs"])
def test_page_calls_linphone(browser: tuple[DemoNetwork, Chromium], runner: asyncio.Runner, library: str) -> None:
    """With DTLS-SRTP and ICE. Each side counts what it has received."""
    require_namespaces()
    example = browser[0].example
    server = f"{FE1}:{example.ports[FE1][LinkKind.CLIENT]}"
    folder = browser[0].folder / f"linphone-{library}"
    gina = Linphone(folder, "gina", "gina-secret", DOMAIN, server, anchor=example.root, media="dtls", ice=True)

    async def play() -> None:
        dora = await registered(*browser, library, "dora")
        async with gina:
            await gina.registered()
            await dora.call(f"sip:gina@{DOMAIN}")
            await dora.until("confirmed")
            await gina.talk()
            figures = await dora.media(PACKETS)
            assert has_audio(figures), figures
            await gina.hears()
            await dora.hang_up()
            await gina.says("No current call", "call-status")
            write(f"{NAMES[library]} calls linphone", counted(figures), counted(gina.counted()))
        await dora.evaluate("phone.stop()")

    runner.run(play())


def test_browser_refuses_the_certificate_of_a_ca_that_it_does_not_know(
    browser: tuple[DemoNetwork, Chromium], runner: asyncio.Runner
) -> None:
    """Under its own name the server presents the enterprise CA's. Under the name in the public one, the page registers."""
    network, chromium = browser

    async def play() -> None:
        page = await chromium.page("jssip")
        await page.start(f"wss://{FE1}:{web_address(network.example, FE1)[1]}", "dora", DOMAIN)
        assert await page.until("disconnected") == "1006"
        assert any("ERR_CERT_AUTHORITY_INVALID" in line for line in chromium.console), chromium.console
        await registered(network, chromium, "jssip", "dora")

    runner.run(play())


def test_page_has_each_call() -> None:
    calls = ["JsSIP calls SIP.js", "SIP.js calls JsSIP", "baresip calls JsSIP"]
    calls += [f"{page} calls {phone}" for page in NAMES.values() for phone in ("baresip", "linphone")]
    assert sorted(TABLE.rows()) == sorted(calls)
