"""The contacts of the web phone in Chromium: kept at management, seen in each browser of the user, and by no other user."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from interop.chromium import Chromium
from interop.phone_page import PhonePage
from interop.web_phones import declines
from sipmesh.demo.network import FE1, FE2, DemoNetwork
from sipmesh.demo.web import MGMT
from support.web_peer import web_address

pytestmark = [pytest.mark.soak, pytest.mark.peer("chromium"), pytest.mark.peer("certutil"), pytest.mark.peer("npm")]

ALICE, BOB, CAROL = "alice@example.test", "bob@example.test", "carol@example.test"
MARKUP = "<img src=x onerror=injected++>"
AT_ONCE = """['remove', 'confirm-no', 'remove'].forEach(id => document.getElementById(id).click())"""
"""The page asks again before the browser tells it that its first question was closed: that waits for a frame."""
LISTED = "document.getElementById('contacts').innerText"


async def opened(network: DemoNetwork, browser: Chromium, server: str, user: str) -> PhonePage:
    page = await PhonePage.open(browser, f"https://{server}:{web_address(network.example, server)[1]}/phone")
    await page.log_in(user, f"{user.partition('@')[0]}-secret")
    await page.shows("phone", user)
    return page


async def describe(page: PhonePage, name: str, groups: str) -> None:
    await page.shows("about")
    await page.evaluate("document.getElementById('about').open = true, undefined")
    await page.fill("about-name", name)
    await page.fill("about-groups", groups)
    await page.submit("about-form")
    await page.until(f"{LISTED}.includes({name!r})")


def test_contacts_follow_their_user_to_another_browser_and_no_other_user(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    """Front ends have other origins, so the page has no storage in common. PICTURES is a folder for pictures of the page."""

    async def play() -> None:
        network = await DemoNetwork.build(tmp_path / "n", web=True)
        for server in (FE1, FE2, MGMT):
            network.dns.records[server, "A"] = ["127.0.0.1"]
        await network.start(MGMT, FE1, FE2)
        async with Chromium(tmp_path / "chromium", network.example.root, (FE1, FE2, MGMT), loopback=False) as browser:
            first = await opened(network, browser, FE1, ALICE)
            await first.add_contact(BOB)
            await first.choose(BOB)
            await describe(first, "Bob the builder", "Work, Choir")
            await first.press("back")
            await first.add_contact(CAROL)
            await first.choose(CAROL)
            await describe(first, MARKUP, "Work")
            second = await opened(network, browser, FE2, ALICE)
            await second.until(f"{LISTED}.includes('Bob the builder') && {LISTED}.includes('Choir')")
            await second.shows("contacts", MARKUP)
            assert await second.evaluate("[injected, document.querySelectorAll('#contacts img').length]") == [0, 0]
            if pictures := os.environ.get("PICTURES"):
                for width in (1280, 400):
                    await second.resize(width, 800, dark=False)
                    await second.picture(Path(pictures) / f"contacts-{width}.png")
            await second.choose(BOB)
            await declines(second, "remove", "on your other devices, too")
            assert "builder" in await second.text("contacts")
            await second.evaluate(AT_ONCE)
            await second.press("confirm-yes")
            await second.until(f"!{LISTED}.includes('builder')")
            await second.press("log-out")
            other = await opened(network, browser, FE2, "bob@example.test")
            await other.press("settings-open")
            assert "builder" not in await other.text("contacts")
            await other.press("log-out")
            again = await opened(network, browser, FE2, ALICE)
            await again.shows("contacts", MARKUP)
            assert "builder" not in await again.text("contacts")
        await network.stop()

    runner.run(play())
