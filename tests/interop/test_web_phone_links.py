"""A web phone in Chromium whose front end is killed and started again: while it rings, while it calls, and in a call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from interop.phones import killed
from interop.web_phones import (
    ALICE,
    BOB,
    PACKETS,
    Place,
    dials,
    has_audio,
    left,
    logged_in,
    speaks,
    talking,
)
from sipmesh.demo.network import FE1, FE2

if TYPE_CHECKING:
    from interop.phone_page import PhonePage

pytestmark = [pytest.mark.soak, pytest.mark.peer("chromium"), pytest.mark.peer("certutil"), pytest.mark.peer("npm")]

LOST = "The connection to the server was lost."
HIDDEN = "document.getElementById('call').hidden"


async def loses_its_server(page: PhonePage, place: Place) -> None:
    await killed(place[0], FE1)
    await page.shows("me-state", "connecting")


async def is_back(page: PhonePage, place: Place) -> None:
    await place[0].start(FE1)
    await page.shows("me-state", "connected")


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_call_that_was_not_answered_ends_with_the_front_end_of_the_page(
    place: Place, runner: asyncio.Runner, *, who: str
) -> None:
    """Its caller hears at once that the user is away. Once the page is connected again, it rings for the next call."""

    async def play() -> None:
        alice, bob = await logged_in(place, ALICE), await logged_in(place, BOB, FE2)
        await (dials(alice, "bob") if who == "caller" else dials(bob, "alice"))
        rings, other = (bob, ALICE) if who == "caller" else (alice, BOB)
        await rings.shows("incoming", other)
        await loses_its_server(alice, place)
        await rings.until("document.getElementById('incoming').hidden")
        await rings.shows("status", "You have missed a call.")
        await bob.shows("status", "You have missed a call." if who == "caller" else "not there at the moment")
        if who == "caller":
            await alice.shows("messages", LOST)
        await is_back(alice, place)
        assert not await alice.evaluate("document.getElementById('incoming').checkVisibility()")
        assert await alice.evaluate(HIDDEN)
        await dials(bob, "alice")
        await alice.shows("incoming", BOB)
        await alice.press("answer")
        await speaks(alice, BOB)
        await alice.press("hang-up")
        await bob.until(HIDDEN)
        await left(alice, bob)

    runner.run(play())


def test_call_goes_on_while_the_front_end_of_the_page_is_started_again(place: Place, runner: asyncio.Runner) -> None:
    """Its audio needs no server. Meanwhile the page offers no change of the call, which would end it, and makes no other call."""

    async def play() -> None:
        alice, bob = await talking(place)
        await loses_its_server(alice, place)
        await alice.until("document.getElementById('hold').disabled")
        await dials(alice, "carol")
        await alice.shows("status", LOST)
        await alice.press("transfer-open")
        await alice.fill("transfer-to", "carol")
        await alice.submit("transfer-form")
        await alice.shows("transfer-error", LOST)
        for page in (alice, bob):
            await page.shows("call-state", "Connected")
        await is_back(alice, place)
        figures = await alice.media(PACKETS)
        assert has_audio(figures), figures
        await bob.press("hold")
        await alice.shows("call-state", "The other side has put you on hold")
        await bob.press("hold")
        await alice.shows("call-state", "Connected")
        await alice.press("hold")
        await bob.shows("call-state", "The other side has put you on hold")
        await alice.press("hang-up")
        await bob.until(HIDDEN)
        await left(alice, bob)

    runner.run(play())


@pytest.mark.parametrize("ends", ["page", "other"])
def test_call_that_one_side_ends_without_a_link_ends_at_both_once_it_is_back(
    place: Place, runner: asyncio.Runner, *, ends: str
) -> None:
    """The BYE of the page waits for the link. That of the other side was lost: the page asks, and hears that there is no call."""

    async def play() -> None:
        alice, bob = await talking(place)
        await loses_its_server(alice, place)
        first, last = (alice, bob) if ends == "page" else (bob, alice)
        await first.press("hang-up")
        await first.until(HIDDEN)
        assert await last.evaluate(HIDDEN) is False
        await is_back(alice, place)
        await last.until(HIDDEN)
        await last.shows("status", "The call has ended.")
        await left(alice, bob)

    runner.run(play())
