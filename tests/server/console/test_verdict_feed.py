"""The feed of verdicts: each verdict once, in order, within bounds, and one reader for all pages."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from sipmesh.errors import SipmeshError
from sipmesh.server.console import verdict_feed
from sipmesh.server.console.replies import VerdictEntry, VerdictsReply
from sipmesh.server.console.verdict_feed import MOST_KEPT, VerdictFeed
from support.network import BEGAN, FE1
from support.running import on_loop, until

REFUSED = VerdictEntry(BEGAN, FE1, "not-tls", "", "client", "in", "192.0.2.1:5", "", ())
LINK = replace(REFUSED, code="accepted", link="7", at=BEGAN + timedelta(seconds=1))


def at(seconds: float) -> VerdictEntry:
    return replace(REFUSED, at=BEGAN + timedelta(seconds=seconds))


async def nothing() -> VerdictsReply:
    return VerdictsReply([], ())


def test_each_verdict_has_one_number_and_the_oldest_the_lowest() -> None:
    feed = VerdictFeed(nothing)
    assert feed.note(VerdictsReply([LINK, REFUSED], ())) == 2
    assert feed.since(0) == [(1, REFUSED), (2, LINK)]
    later = replace(LINK, at=LINK.at + timedelta(milliseconds=3))  # the same link: its time comes from its age
    assert feed.note(VerdictsReply([at(5), later, REFUSED], ())) == 3
    assert feed.since(2) == [(3, at(5))]
    assert feed.since(3) == []


def test_two_refusals_of_one_peer_are_two_verdicts() -> None:
    feed = VerdictFeed(nothing)
    assert feed.note(VerdictsReply([REFUSED, at(1), replace(REFUSED, remote="192.0.2.1:6")], ())) == 3


def test_server_that_did_not_answer_once_brings_nothing_twice() -> None:
    feed = VerdictFeed(nothing)
    for entries in ([REFUSED], [], [REFUSED]):
        assert feed.note(VerdictsReply(entries, ())) == 1


def test_oldest_verdicts_are_forgotten_above_the_limit() -> None:
    feed = VerdictFeed(nothing)
    feed.note(VerdictsReply([at(n) for n in range(MOST_KEPT)], ()))
    assert feed.since(0)[0] == (1, at(0))
    feed.note(VerdictsReply([at(n) for n in range(MOST_KEPT + 1)], ()))
    assert (len(feed.since(0)), feed.since(0)[0]) == (MOST_KEPT, (2, at(1)))


@on_loop
async def test_verdicts_are_read_once_for_all_pages_and_not_without_a_page() -> None:
    reads = 0
    asked = asyncio.Event()

    async def read() -> VerdictsReply:
        nonlocal reads
        reads += 1
        asked.set()
        return VerdictsReply([REFUSED], ())

    feed = VerdictFeed(read)
    assert reads == 0
    async with feed.watched(), feed.watched():
        await asked.wait()
        assert reads == 1
    assert feed.last == 1


@on_loop
async def test_page_is_woken_again_although_a_server_cannot_be_asked() -> None:
    async def read() -> VerdictsReply:
        raise SipmeshError("no answer")

    feed = VerdictFeed(read)
    feed_every, verdict_feed.LOOK_EVERY_S = verdict_feed.LOOK_EVERY_S, 0.001  # type: ignore[misc]
    try:
        woken = 0
        async with feed.watched():
            while woken < 2:
                async with feed.changed:
                    await feed.changed.wait()
                woken += 1
    finally:
        verdict_feed.LOOK_EVERY_S = feed_every  # type: ignore[misc]
    await until(lambda: feed.last == 0)
