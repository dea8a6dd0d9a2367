"""Summaries of applications: kept for each user, shown to the phones of the user."""

from __future__ import annotations

import asyncio

import pytest

from server.proxy.events.test_notifier import told, watch
from sipmesh.server.proxy.events.event_server import LOOK_EVERY_S
from sipmesh.server.proxy.events.summaries import MOST_PER_USER, Summaries
from sipmesh.sip.message import build_request
from support.network import BOT, FE1, FE2, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop

BOB = "sip:bob@example.test"
ABOUT = [
    ("event", "message-summary"),
    ("subscription-state", "active"),
    ("content-type", "application/simple-message-summary"),
]


async def says(bot: Peer, body: bytes) -> int:
    """The application says how many messages wait for bob; gives the status of its answer."""
    bot.user = f"mail@{BOT}"
    return (await bot.ask(bot.request("NOTIFY", BOB, ABOUT, body))).status


@pytest.mark.parametrize(("bot_at", "phone_at"), [(FE1, FE1), (FE1, FE2), (FE2, FE1)])
@on_loop
async def test_phone_gets_what_waits_at_an_application_when_it_logs_in_and_when_that_changes(
    pool: Network, bot_at: str, phone_at: str
) -> None:
    """Whichever server is the notifier."""
    async with pool:
        bot = await pool.peer(bot_at, "bot", BOT)
        assert await says(bot, b"Messages-Waiting: yes\r\nVoice-Message: 2/1\r\n") == 200
        bob = await pool.phone("bob", phone_at)
        _, first = await watch(bob, BOB, "message-summary")
        assert b"Voice-Message: 2/1\r\nText-Message: 0/0" in first.body
        assert await says(bot, b"Messages-Waiting: no\r\nVoice-Message: 0/3\r\n") == 200
        assert b"Messages-Waiting: no" in (await told(bob)).body


@on_jumping_loop
async def test_summaries_of_applications_are_added_to_the_messages_that_we_have_stored(pool: Network) -> None:
    """The phone has logged in and not registered, so that they wait."""
    async with pool:
        alice, bot = await pool.phone("alice", FE2), await pool.peer(FE1, "bot", BOT)
        assert await says(bot, b"Messages-Waiting: yes\r\nVoice-Message: 2/1\r\n") == 200
        text = alice.request("MESSAGE", BOB, [("content-type", "text/plain")], b"call me")
        assert (await alice.ask(text)).status == 202
        assert await says(bot, b"Messages-Waiting: yes\r\nVoice-Message: 3/1\r\n") == 200
        bob = await pool.peer(FE1, "bob")
        assert (await bob.register([("expires", "0")])).status == 200
        await watch(bob, BOB, "message-summary")
        await asyncio.sleep(LOOK_EVERY_S + 1)
        for node in pool.nodes.values():
            node.sweep.tick()
        assert b"Voice-Message: 3/1\r\nText-Message: 1/0" in (await told(bob)).body


@on_loop
async def test_summary_that_cannot_be_read_is_refused_and_changes_nothing(home: Network) -> None:
    async with home:
        bot, bob = await home.peer(FE1, "bot", BOT), await home.phone("bob", FE1)
        assert await says(bot, b"Messages-Waiting: yes\r\nVoice-Message: 2/1\r\n") == 200
        assert await says(bot, b"Messages-Waiting: yes\r\nVoice-Message: x\r\n") == 400
        _, first = await watch(bob, BOB, "message-summary")
        assert b"Voice-Message: 2/1" in first.body


def test_applications_of_one_user_are_bounded() -> None:
    summaries = Summaries()
    request = build_request("NOTIFY", BOB, ABOUT, b"Messages-Waiting: yes\r\n")
    taken = [summaries.take(request, BOB, f"sip:{n}@{BOT}").status for n in range(MOST_PER_USER + 1)]
    assert taken == [200] * MOST_PER_USER + [503]
    assert summaries.take(request, BOB, f"sip:0@{BOT}").status == 200
    summaries.forget(BOB)
    assert (summaries.of(BOB), list(summaries.users())) == ([], [])
