"""The rules of calls in the web phone, in Chromium: changed there, refused at the field, in force for the next call."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from interop.chromium import Chromium
from interop.phone_page import PhonePage
from interop.web_phones import confirms
from sipmesh.demo.network import FE1, FE2, DemoNetwork
from sipmesh.demo.web import MGMT
from support.web_peer import web_address

pytestmark = [pytest.mark.soak, pytest.mark.peer("chromium"), pytest.mark.peer("certutil"), pytest.mark.peer("npm")]

ALICE, BOB = "alice@example.test", "bob@example.test"
FOCUSED = "document.activeElement.id"

WATCHED = (
    "{const real = window.fetch; window.fetch = (place, given) => {"
    "if (given?.headers?.Authorization) window.asked = {...given, place: String(place)};"
    "return real(place, given)}; undefined}"
)
"""Keep what the page asks with, as a script in its browser could."""


async def status(page: PhonePage, place: str, copied: str) -> int:
    """Change rules by a copied ticket; gives the status."""
    given = {"method": "PUT", "headers": {"Authorization": copied, "Content-Type": "application/json"}, "body": "{}"}
    return int(await page.evaluate(f"fetch({place!r}, {json.dumps(given)}).then((answer) => answer.status)"))


async def copied_ticket(page: PhonePage) -> tuple[str, str]:
    """Copy the ticket by which the page changes rules, and where; it counts."""
    await page.evaluate(WATCHED)
    await page.press("rules-change")
    await page.fill("rule-no_answer", "bob")
    await page.submit("rules-form")
    await page.shows("status", "The rules of your calls are changed.")
    copied, place = await page.evaluate("[window.asked.headers.Authorization, window.asked.place]")
    assert await status(page, place, copied) == 200
    return copied, place


async def opened(network: DemoNetwork, browser: Chromium, server: str, user: str) -> PhonePage:
    page = await PhonePage.open(browser, f"https://{server}:{web_address(network.example, server)[1]}/phone")
    await page.log_in(user, f"{user.partition('@')[0]}-secret")
    await page.shows("phone", user)
    await page.press("settings-open")
    await page.shows("rules-change")
    return page


async def tick(page: PhonePage, box: str, *, on: bool) -> None:
    await page.evaluate(f"document.getElementById({box!r}).checked = {str(on).lower()}, undefined")


def test_user_changes_rules_in_one_browser_and_sees_them_in_another(tmp_path: Path, runner: asyncio.Runner) -> None:
    """Front ends have other origins than management. PICTURES is a folder for pictures of the page."""

    async def look(page: PhonePage, name: str) -> None:
        for width in (1280, 400):
            await page.resize(width, 1400 if width == 400 else 900)
            assert await page.faults() == [], (name, width)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)
            if pictures := os.environ.get("PICTURES"):
                await page.picture(Path(pictures) / f"{name}-{width}.png")

    async def play() -> None:
        network = await DemoNetwork.build(tmp_path / "n", web=True)
        for server in (FE1, FE2, MGMT):
            network.dns.records[server, "A"] = ["127.0.0.1"]
        await network.start(MGMT, FE1, FE2)
        async with Chromium(tmp_path / "chromium", network.example.root, (FE1, FE2, MGMT), loopback=False) as browser:
            first, second = [await opened(network, browser, server, ALICE) for server in (FE1, FE2)]
            await first.press("rules-change")
            assert await first.evaluate(FOCUSED) == "rule-do_not_disturb"
            await look(first, "rules-form")
            await first.fill("rule-busy", "bob")
            await first.fill("rule-no_answer", "nobody-here")
            await first.submit("rules-form")
            await first.shows("rule-no_answer-error", "nobody-here")
            assert await first.evaluate(FOCUSED) == "rule-no_answer"
            assert "sipmesh" not in await first.text("rule-no_answer-error")
            await look(first, "rules-refused")
            await first.fill("rule-no_answer", "bob")
            await first.fill("rule-ring_s", "10")
            await first.fill("rule-block", "eve@partner.test, anonymous")
            await tick(first, "rule-unlisted", on=True)
            await first.submit("rules-form")
            for page in (first, second):
                await page.shows("rules", f"When you are busy, your calls go to {BOB}")
                await page.shows("rules", "Blocked: eve@partner.test, hidden callers")
                await page.shows("rules", "Searches do not show you.")
            await first.shows("status", "The rules of your calls are changed.")
            assert await first.evaluate(FOCUSED) == "rules-change"
            await look(first, "rules")
            other = await opened(network, browser, FE2, BOB)
            await other.shows("no-rules")
            await second.press("rules-change")
            await confirms(second, "rules-clear", "All your phones ring")
            for page in (first, second):
                await page.shows("no-rules")
            copied, place = await copied_ticket(first)
            await first.press("log-out")
            assert await first.evaluate("document.getElementById('phone').hidden")
            while await status(first, place, copied) != 401:
                await asyncio.sleep(0.25)
            await second.press("rules-change")
            await second.fill("rule-busy", "bob")
            await second.submit("rules-form")
            await second.shows("rules", f"When you are busy, your calls go to {BOB}")
        await network.stop()

    runner.run(play())
