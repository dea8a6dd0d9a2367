"""Files in the web phone: sent to linphone and by linphone, shown as a link, and opened as nothing but a download."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from pathlib import Path

import pytest

from interop.chromium import BrowserPage, Chromium
from interop.hosts_file import require_namespaces
from interop.linphone_files_peer import LinphoneWithFiles, device_password
from interop.phone_page import PhonePage
from interop.phones import killed
from interop.web_phones import ALICE, BOB, at_phone, logged_in
from sipmesh.demo.network import FE1, DemoNetwork
from sipmesh.demo.web import MGMT
from sipmesh.server.files.file_about import FILE_XML
from support.invited import Invitee
from support.running import LOOK_AGAIN_S, until

pytestmark = [
    pytest.mark.soak,
    pytest.mark.peer("chromium"),
    pytest.mark.peer("certutil"),
    pytest.mark.peer("npm"),
    pytest.mark.peer("linphone"),
]

MESSAGES = "document.getElementById('messages')"
LINK = f"{MESSAGES}.querySelector('a')"
PAGE = "<script>document.title = 'run'</script>"


NO_LINKS = ("javascript:injected++", "http://evil.test/x", "https://user:pass@evil.test/", "data:text/html,x")


def written(name: str, url: str) -> str:
    """The XML of a peer that writes what it likes."""
    about = f"<file-size>1</file-size><file-name>{name}</file-name>"
    return f'<file><file-info type="file">{about}<data url="{url}"/></file-info></file>'


async def attach(page: PhonePage, name: str, content: str) -> None:
    """Choose a file as a person does with the button."""
    await page.shows("attach")
    chosen = f"new File([{json.dumps(content)}], {json.dumps(name)}, {{type: 'text/html'}})"
    field = "document.getElementById('file')"
    await page.evaluate(
        f"(() => {{ const d = new DataTransfer(); d.items.add({chosen}); {field}.files = d.files; {field}.onchange(); }})()"
    )


async def rows(page: PhonePage) -> int:
    return int(str(await page.evaluate(f"{MESSAGES}.children.length")))


def test_files_pass_between_the_web_phone_and_linphone(tmp_path: Path, runner: asyncio.Runner) -> None:
    """A page that was sent as a file is not shown when its link is opened. PICTURES is a folder for pictures of the page."""
    require_namespaces()

    async def play() -> None:
        network = await DemoNetwork.build(tmp_path / "n", web=True)
        for server in (FE1, MGMT):
            network.dns.records[server, "A"] = ["127.0.0.1"]
        await network.start(MGMT, FE1)
        password = await device_password(network, "bob")
        async with (
            Chromium(tmp_path / "chromium", network.example.root, (FE1, MGMT), loopback=False) as browser,
            LinphoneWithFiles(network, tmp_path / "bob", "bob", password) as bob,
            Invitee(network.example.root) as person,
        ):
            page = await logged_in((network, browser), ALICE)
            await page.add_contact(BOB)
            await page.choose(BOB)
            await attach(page, "../plan <b>.html", PAGE)
            await page.until(f"{LINK}?.innerText === 'plan _b_.html'")
            got = await bob.does("receive")
            assert (got["from"], got["name"], got["fetched"]) == ("sip:alice@example.test", "plan _b_.html", True)
            assert got["sha256"] == hashlib.sha256(PAGE.encode()).hexdigest()
            url = str(await page.evaluate(f"{LINK}.href"))
            assert (await person.get(url)).text == PAGE
            opened = BrowserPage(browser, await browser.target())
            answer = await browser.command("Page.navigate", opened.session, url=url)
            assert answer["errorText"] == "net::ERR_ABORTED"  # as each download
            assert await opened.evaluate("[location.href, document.title]") == ["about:blank", ""]

            note = tmp_path / "note.txt"
            note.write_text("built")
            assert (await bob.does(f"send alice@example.test {note}"))["delivered"]
            await page.until(f"{MESSAGES}.querySelectorAll('a').length === 2")
            await page.shows("messages", "5 B, at mgmt.example.test")
            shown = str(await page.evaluate(f"{MESSAGES}.querySelector('.theirs a').href"))
            assert (await person.get(shown)).text == "built"
            if pictures := os.environ.get("PICTURES"):
                for width in (1280, 400):
                    await page.resize(width, 800, dark=False)
                    await page.picture(Path(pictures) / f"files-{width}.png")
        await network.stop()

    runner.run(play())


def test_hostile_xml_gives_no_link_and_a_large_file_is_not_sent(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def play() -> None:
        network = await DemoNetwork.build(tmp_path / "n", web=True)
        for server in (FE1, MGMT):
            network.dns.records[server, "A"] = ["127.0.0.1"]
        await network.start(MGMT, FE1)
        async with Chromium(tmp_path / "chromium", network.example.root, (FE1, MGMT), loopback=False) as browser:
            page = await logged_in((network, browser), ALICE)
            await page.add_contact(BOB)
            await page.choose(BOB)
            bob = await at_phone(network, BOB)
            name = "&lt;img src=x onerror=injected++&gt;\u202egnp.exe"
            for url in (*NO_LINKS, "https://evil.test/x"):
                body = written(name, url).encode()
                await bob.ask(bob.request("MESSAGE", f"sip:{ALICE}", [("content-type", FILE_XML)], body))
            await page.until(f"{MESSAGES}.children.length === 5")
            assert await page.evaluate(f"[injected, {MESSAGES}.querySelectorAll('a').length]") == [0, 1]
            assert await page.evaluate(f"{LINK}.innerText") == "<img src=x onerror=injected++>\u00b7gnp.exe"
            await page.shows("messages", "1 B, at evil.test")
            field = "document.getElementById('file')"
            await page.evaluate(
                f"(() => {{ const d = new DataTransfer(); d.items.add(new File([new Uint8Array(20000001)], 'large'));"
                f" {field}.files = d.files; {field}.onchange(); }})()"
            )
            await page.shows("file-state", "This file is too large: files have at most 20.0 MB.")
            assert await rows(page) == 5
        await network.stop()

    runner.run(play())


LARGE = 60_000_000
FIELD = "document.getElementById('file')"


async def attach_large(page: PhonePage) -> None:
    made = f"new File([new Uint8Array({LARGE})], 'large.bin')"
    await page.evaluate(
        f"(() => {{ const d = new DataTransfer(); d.items.add({made}); {FIELD}.files = d.files; {FIELD}.onchange(); }})()"
    )


async def opens_link(page: PhonePage, browser: Chromium) -> None:
    """Click the link of the file, as a person does."""
    del browser.downloads[:]
    await browser.command("Runtime.evaluate", page.session, expression=f"{LINK}.click()", userGesture=True)
    await until(lambda: bool(browser.downloads))


def state_of(browser: Chromium) -> str:
    return str(browser.downloads[-1].get("state", ""))


def test_file_is_whole_or_not_there_if_management_is_killed(tmp_path: Path, runner: asyncio.Runner) -> None:
    """In the upload, and in the download. Both can be tried again, with the same page."""

    async def play() -> None:
        network = await DemoNetwork.build(tmp_path / "n", web=True)
        for server in (FE1, MGMT):
            network.dns.records[server, "A"] = ["127.0.0.1"]
        network.example.document["files"] = {"largest_mb": 100, "user_mb": 1_000}
        network.example.write()
        await network.start(MGMT, FE1)
        plan = await network.ask(MGMT, "plan")
        before = (await network.ask(FE1, "status"))["topology"]
        await network.ask(MGMT, "publish", why="large files", base=plan["base"], digest=plan["digest"])
        while (await network.ask(FE1, "status"))["topology"] == before:
            await asyncio.sleep(LOOK_AGAIN_S)
        async with (
            Chromium(tmp_path / "chromium", network.example.root, (FE1, MGMT), loopback=False) as browser,
            await at_phone(network, BOB),
        ):
            page = await logged_in((network, browser), ALICE)
            folder = tmp_path / "downloads"
            await page.allow_downloads(folder)
            await page.add_contact(BOB)
            await page.choose(BOB)
            await page.shows("attach")
            await attach_large(page)
            await page.shows("file-state", "Sending")
            await killed(network, MGMT)

            await page.shows("file-state", "cannot be reached. Try again later.")
            assert await page.evaluate(f"{MESSAGES}.querySelectorAll('a').length") == 0
            await network.start(MGMT)
            await page.until("!document.getElementById('attach').disabled")
            await attach_large(page)
            await page.until(f"{LINK}?.innerText === 'large.bin'")
            await opens_link(page, browser)
            await killed(network, MGMT)
            await until(lambda: state_of(browser) == "canceled")
            assert LARGE not in [file.stat().st_size for file in folder.glob("*")]
            await network.start(MGMT)
            await opens_link(page, browser)
            await until(lambda: state_of(browser) == "completed")
            assert LARGE in [file.stat().st_size for file in folder.glob("*")]
        await network.stop()

    runner.run(play())
