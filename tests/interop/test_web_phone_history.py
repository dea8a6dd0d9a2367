"""The message history in the web phone, in Chromium: two browsers of one user, and a baresip at the other end."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from interop.chromium import Chromium
from interop.phone_page import PhonePage
from interop.phones import phone
from interop.web_phones import ALICE, BOB, GINA, Place, left, logged_in
from sipmesh.demo.network import FE1, FE2, DemoNetwork
from sipmesh.sip.digest import Algorithm
from support.running import until
from support.web_peer import open_websocket

pytestmark = [pytest.mark.soak, pytest.mark.peer("chromium"), pytest.mark.peer("certutil"), pytest.mark.peer("npm")]

ROWS = "document.querySelectorAll('#messages li').length"
MANY = 55
"""Messages, of which a page of the history has fewer."""


@pytest.fixture(name="place", scope="module", params=[30, 0])
def _place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner
) -> Iterator[tuple[Place, int]]:
    """Give the demo with a message history of so many days, and a browser."""
    folder, days = tmp_path_factory.mktemp("h"), request.param
    network = runner.run(DemoNetwork.build(folder))
    network.example.add_users("gina", algorithms=(Algorithm.MD5,))
    for server in (FE1, FE2):
        network.dns.records[server, "A"] = ["127.0.0.1"]
    network.example.document["history"] = {"days": days}
    open_websocket(network.example, phone=True)
    runner.run(network.start(FE1, FE2))
    browser = Chromium(folder / "chromium", network.example.root, (FE1, FE2), loopback=False)
    runner.run(browser.__aenter__())
    yield (network, browser), days
    runner.run(browser.__aexit__(None, None, None))
    runner.run(network.stop())


async def look(page: PhonePage, name: str) -> None:
    """Look for faults at two widths. PICTURES is a folder for pictures of the page."""
    for width in (1280, 400):
        await page.resize(width, 800)
        assert await page.faults() == [], (name, width)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)
        if pictures := os.environ.get("PICTURES"):
            await page.picture(Path(pictures) / f"{name}-{width}.png")


async def shown_again(page: PhonePage) -> None:
    """Have the page do as after a look at another window."""
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange')), undefined")


async def lists(page: PhonePage, address: str) -> None:
    """Wait until a conversation is in the list."""
    await page.until(f"document.querySelector('[data-address=\"{address}\"]') !== null")


async def kept(network: DemoNetwork, messages: int) -> None:
    """Wait until two users have so many messages in the history, which no answer waits for."""

    def users() -> int:
        with closing(sqlite3.connect(network.example.folder / "state" / "messages.db")) as db:
            of_each = "SELECT count(*) FROM message_history_users WHERE messages = ?"
            return int(db.execute(of_each, (messages,)).fetchone()[0])

    await until(lambda: users() == 2)


@pytest.mark.peer("baresip")
def test_conversation_is_the_same_in_two_browsers_and_erased_in_both(
    place: tuple[Place, int], runner: asyncio.Runner
) -> None:
    """Messages of the page, of its other browser and of a phone: each once. Without a history, nothing of it is shown."""
    (network, browser), days = place
    desk = phone(network, "gina", FE1, records=False, friend=f"sip:{ALICE}")

    async def erase(page: PhonePage, button: str, answer: str) -> None:
        assert not await page.evaluate("document.getElementById('confirm').checkVisibility()")
        await page.press(button)
        await page.shows("confirm", "cannot be brought back")
        await look(page, "confirm")
        await page.press(answer)

    async def play() -> None:
        first = await logged_in((network, browser), ALICE)
        async with desk:
            await desk.registered()
            await first.add_contact(GINA)
            await first.choose(GINA)
            await first.write("from the first browser")
            assert (await desk.event("MESSAGE"))["body"] == "from the first browser"
            await desk.command("message", "from the desk phone")
            await first.shows("messages", "from the desk phone")
            second = await logged_in((network, browser), ALICE, FE2)
            if not days:
                await second.add_contact(GINA)
                await second.choose(GINA)
                assert await second.evaluate(ROWS) == 0
                for page in (first, second):
                    for hidden in ("erase", "kept", "older", "older-people"):
                        assert await page.evaluate(f"document.getElementById({hidden!r}).hidden")
                await left(first, second)
                return
            await kept(network, 2)
            await shown_again(second)
            await lists(second, GINA)
            await second.choose(GINA)
            await second.until(f"{ROWS} === 2")
            await second.write("from the second browser")
            assert (await desk.event("MESSAGE"))["body"] == "from the second browser"
            await desk.command("message", "to both")
            for page in (first, second):
                await page.shows("messages", "to both")
            await kept(network, 4)
            for page in (first, second):
                await shown_again(page)
                await page.shows("messages", "from the second browser")
                await page.until(f"{ROWS} === 4")
            await look(first, "history")
            await erase(first, "erase", "confirm-no")
            assert await first.evaluate(ROWS) == 4
            await erase(first, "erase", "confirm-yes")
            await first.until(f"{ROWS} === 0")
            await second.press("log-out")
            await second.log_in(ALICE, "alice-secret")
            await second.shows("phone", ALICE)
            await second.shows("no-contacts")
            await left(first, second)

    runner.run(play())


def test_older_messages_come_on_request_and_all_are_erased_on_request(
    place: tuple[Place, int], runner: asyncio.Runner
) -> None:
    (network, browser), days = place
    if not days:
        return

    async def play() -> None:
        alice, bob = await logged_in((network, browser), ALICE), await logged_in((network, browser), BOB)
        await alice.add_contact(BOB)
        await alice.choose(BOB)
        for number in range(MANY):
            await alice.write(f"number {number}.")
        await bob.until(f"document.querySelector('[data-address=\"{ALICE}\"] .count')?.innerText.includes('{MANY}')")
        await kept(network, MANY)
        await left(bob)
        await bob.log_in(BOB, "bob-secret")
        await lists(bob, ALICE)
        await bob.shows("contacts", "last message")
        await bob.choose(ALICE)
        await bob.shows("older")
        assert "number 0." not in await bob.text("messages")
        await look(bob, "older")
        await bob.press("older")
        await bob.until(f"{ROWS} === {MANY}")
        await bob.until("document.getElementById('older').hidden")
        await bob.press("settings-open")
        await bob.shows("kept", f"for {days} days")
        await look(bob, "kept")
        await bob.press("erase-all")
        await bob.press("confirm-yes")
        await bob.shows("status", "All your messages are erased.")
        assert await bob.evaluate(ROWS) == 0
        await left(alice, bob)
        await alice.log_in(ALICE, "alice-secret")
        await alice.shows("phone", ALICE)
        await alice.choose(BOB)
        await alice.shows("older")  # alice keeps what alice has written
        await left(alice)

    runner.run(play())
