"""A user or a partner sends SUBSCRIBE, NOTIFY and PUBLISH without end, at a front end or an edge: others are served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import chain, repeat
from typing import Final

import pytest

from scenarios.test_workers import pass_message
from server.proxy.events.test_notifier import BUSY, watch
from sipmesh.sip.message import Request
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, FE2, PARTNER_EDGE, Network
from support.peer import HungUpError, Peer
from support.process import serving
from support.running import on_loop
from support.tiers import wide_after

LINKS: Final = 16
ROUNDS: Final = 10
WITHIN_S: Final = 10.0
"""What is promised is one second, of a machine without other work."""

BOB: Final = "sip:bob@example.test"
PRESENCE: Final = ("event", "presence")
PIDF: Final = ("content-type", "application/pidf+xml")
ACTIVE: Final = ("subscription-state", "active")


def events(peer: Peer) -> Iterator[Request]:
    """Requests about events: subscriptions that stay, that end at once, and that are not allowed, and NOTIFYs of none."""
    own = f"sip:{peer.user}"
    yield peer.request("SUBSCRIBE", BOB, [PRESENCE, ("expires", "0")])
    yield peer.request("SUBSCRIBE", BOB, [PRESENCE, ("expires", "3600")])
    yield peer.request("SUBSCRIBE", own, [("event", "reg"), ("expires", "0")])
    yield peer.request("SUBSCRIBE", BOB, [("event", "dialog"), ("expires", "3600")])
    yield peer.request("SUBSCRIBE", "sip:nobody@example.test", [PRESENCE])
    yield peer.request("NOTIFY", BOB, [PRESENCE, ACTIVE, PIDF], BUSY)
    yield peer.request("NOTIFY", BOB, [("event", "check-sync"), ACTIVE])
    yield peer.request("PUBLISH", own, [PRESENCE, PIDF], BUSY)


async def answer(peer: Peer) -> None:
    """Answer each NOTIFY, so that its place is free for the next subscription."""
    while True:
        message = await peer.receive()
        if isinstance(message, Request):
            await peer.reply(message, 200)


async def send(peer: Peer, *, answers: bool) -> None:
    with suppress(HungUpError, OSError):
        answering = [asyncio.create_task(answer(peer))] if answers else []
        try:
            for request in chain.from_iterable(map(events, repeat(peer, ROUNDS))):
                await peer.send(request)
            await asyncio.gather(*answering)
        finally:
            for task in answering:
                task.cancel()


@asynccontextmanager
async def flood(peers: Sequence[Peer], *, answers: bool) -> AsyncIterator[None]:
    """Let *peers* send these requests meanwhile; without *answers* they read nothing."""
    tasks = [asyncio.create_task(send(peer, answers=answers)) for peer in peers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def links_of(network: Network, who: str) -> list[Peer]:
    """Open the links of a user who is logged in, or of the partner's edge, whose users are as many."""
    if who == "user":
        phones = [await network.peer(FE1, "alice") for _ in range(LINKS)]
        for phone in phones:
            phone.contact = phones[0].contact  # a user has ten Contacts at most
            assert (await phone.register()).status == 200
        return phones
    users = [f"x{number}@partner.test" for number in range(LINKS)]
    return [await network.peer_at(EDGE, LinkKind.PARTNER, user, PARTNER_EDGE) for user in users]


@pytest.mark.parametrize("answers", [True, False], ids=["answers", "reads nothing"])
@pytest.mark.parametrize("who", wide_after(1, ["user", "partner"]))
@on_loop
async def test_messages_and_subscriptions_of_others_pass_in_a_flood_of_subscriptions(
    federation: Network, who: str, *, answers: bool
) -> None:
    """Front end and edge are processes of their own. Others are at the same front end, and at its pool mate."""
    network = Network(federation.organisations, starts=(FE2,))
    network.dns.records.update(federation.dns.records)
    example = network.organisations[0]
    async with network, serving(example, FE1) as server, serving(example, EDGE) as edge:
        bob, carol = await network.phone("bob", FE1), await network.phone("carol", FE2)
        await pass_message(carol, bob)
        async with flood(await links_of(network, who), answers=answers):
            for sender, receiver in ((carol, bob), (bob, carol)):
                async with asyncio.timeout(WITHIN_S):
                    await pass_message(sender, receiver)
                    await watch(sender, f"sip:{receiver.user}")
        assert [process.started.poll() for process in (server, edge)] == [None, None]
