"""Attacks of logged-in users on stored messages and event state, each beside a control that succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from scenarios.test_presence_rules import rule
from server.proxy.events.test_message_delivery import is_over, take
from server.proxy.events.test_message_storing import BOB, say
from server.proxy.events.test_notifier import BUSY, publish, subscribe, watch
from sipmesh.routing.events.stored_message import LARGEST_HEADER, MOST_ROWS
from sipmesh.server.proxy.events.publications import CHANGES_S, MOST_CHANGES
from sipmesh.sip.message import Request
from sipmesh.sip.transaction.timers import Timer
from sipmesh.topology.document.watching import Watching
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, FE2, PARTNER_EDGE, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop

ENDED = ("expires", "0")
TEXT = ("content-type", "text/plain")
ROWS = [(f"x-{number}", "1") for number in range(MOST_ROWS)]


def long(alice: Peer, size: int) -> Request:
    return alice.request("MESSAGE", BOB, [TEXT, ("subject", "x" * size)], b"first")


def many(alice: Peer, count: int) -> Request:
    return alice.request("MESSAGE", BOB, [TEXT, *ROWS[:count]], b"first")


@pytest.mark.parametrize(
    ("make", "size", "status", "comes"),
    [
        (long, LARGEST_HEADER, 480, [b"second"]),
        (long, LARGEST_HEADER - 1024, 202, [b"first", b"second"]),
        (many, MOST_ROWS, 480, [b"second"]),
        (many, MOST_ROWS - 12, 202, [b"first", b"second"]),
    ],
)
@on_loop
async def test_long_header_holds_up_no_message_of_others(
    home: Network, make: Callable[[Peer, int], Request], size: int, status: int, comes: list[bytes]
) -> None:
    async with home:
        alice, carol = await home.phone("alice", FE1), await home.phone("carol", FE1)
        assert (await alice.ask(make(alice, size))).status == status
        assert await say(carol, b"second") == 202
        bob = await home.phone("bob", FE1)
        assert [(await take(bob)).body for _ in comes] == comes
        await is_over(home.nodes[FE1])


@on_loop
async def test_large_messages_of_one_sender_leave_room_for_others(home: Network) -> None:
    async with home:
        alice, carol = await home.phone("alice", FE1), await home.phone("carol", FE1)
        large = b"x" * 120_000
        assert [await say(alice, large) for _ in range(9)] == [*[202] * 8, 480]
        assert await say(carol, large) == 202


@on_jumping_loop
async def test_watcher_who_answers_no_notify_of_ended_subscriptions_gets_no_further_one(home: Network) -> None:
    """Each NOTIFY is kept until timer F. The control answers them, and may subscribe as often as it likes."""
    async with home:
        node = home.nodes[FE1]
        most = node.events.notifier.places.most_of_pair = 5
        alice, carol = await home.phone("alice", FE1), await home.phone("carol", FE1)
        await watch(carol, BOB)
        for _ in range(most):
            assert (await alice.ask(fetch(alice))).status == 200
            await alice.request_in("NOTIFY")
        assert [(await alice.ask(fetch(alice))).status for _ in range(20)] == [503] * 20
        assert len(node.events.own_requests) == most
        for _ in range(2 * most):
            await watch(carol, BOB, "presence", ENDED)
        await asyncio.sleep(Timer.F.seconds + 1)
        node.events.own_requests.sweep()
        assert (len(node.events.own_requests), len(node.events.notifier.places)) == (0, 1)
        await watch(alice, BOB, "presence", ENDED)


def fetch(peer: Peer) -> Request:
    """A subscription that ends at once (RFC 6665 section 4.4.3)."""
    return subscribe(peer, BOB, "presence", ENDED)


@on_loop
async def test_one_user_of_a_partner_leaves_its_colleagues_their_subscriptions(federation: Network) -> None:
    """Bob lets all users of the partner watch him. Zoe subscribes as often as she can, in two spellings.

    The 503 of the notifier is a 500 behind the edge (RFC 3261 section 16.7).
    """
    async with federation:
        await federation.phone("bob", FE1)
        await rule(federation, "@partner.test", Watching.ALLOW)
        for name in (FE1, FE2):
            federation.nodes[name].events.notifier.places.most_of_one_pair = 3
        edge = await federation.peer_at(EDGE, LinkKind.PARTNER, "x@partner.test", PARTNER_EDGE)
        for user, granted in (("zoe", 3), ("Zoe", 0), ("yves", 3)):
            edge.user = f"{user}@partner.test"
            assert [await watched(edge) for _ in range(4)] == [*[200] * granted, *[500] * (4 - granted)]


async def watched(peer: Peer) -> int:
    """The status of a new subscription to bob, whose NOTIFY is answered."""
    response = await peer.ask(subscribe(peer, BOB))
    if response.status == 200:
        await peer.reply(await peer.request_in("NOTIFY"), 200)
    return response.status


@on_jumping_loop
async def test_user_causes_notifies_to_its_watchers_only_so_often(home: Network) -> None:
    """One PUBLISH is a NOTIFY to each of 500 watchers: a user who published without end would take the time of all others."""
    async with home:
        bob, carol = await home.phone("bob", FE1), await home.phone("carol", FE1)
        for number in range(MOST_CHANGES):
            body = BUSY.replace(b"busy", b"%d" % number)
            assert (await bob.ask(publish(bob, body))).status == 200
        refused = await bob.ask(publish(bob, BUSY))
        assert (refused.status, refused.values("retry-after")) == (503, ["10"])
        assert (await carol.ask(publish(carol, BUSY))).status == 200
        await asyncio.sleep(CHANGES_S)
        assert (await bob.ask(publish(bob, BUSY))).status == 200
