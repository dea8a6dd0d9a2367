"""A message for a user who is away: 202 once it is on disk, and 480 where it cannot be."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from itertools import count

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.events.message_storing import MOST_OF_SENDER, WRITE_S
from sipmesh.storage import messages
from sipmesh.storage.messages import Storing
from sipmesh.trust.evidence import LinkKind
from support.between import Between, reach_by
from support.network import EDGE, FE1, FE2, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop, until

BOB = "sip:bob@example.test"


def limited(organisation: Organisation, **limits: int) -> None:
    """Set the limits of stored messages."""
    organisation.document["messages"] = limits
    organisation.write()


async def say(peer: Peer, text: bytes, *headers: tuple[str, str], to: str = BOB) -> int:
    """Send a text; gives the status."""
    kind = ("content-type", "text/plain")
    return (await peer.ask(peer.request("MESSAGE", to, [kind, *headers], text))).status


@on_loop
async def test_message_is_in_the_database_when_its_202_is_sent(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        assert await say(alice, b"hello") == 202
        with closing(sqlite3.connect(home.organisations[0].folder / "state" / "messages.db")) as db:
            [[octets]] = db.execute("SELECT octets FROM stored_messages").fetchall()
        assert octets.endswith(b"hello")
        assert b"P-Asserted-Identity: <sip:alice@example.test>" in octets
        assert home.nodes[FE1].events.storing.counts == {Storing.STORED: 1}


@on_loop
async def test_sender_past_its_share_is_refused_and_another_is_not(home: Network) -> None:
    limited(home.organisations[0], per_user=3, per_sender=2)
    async with home:
        alice, carol = await home.phone("alice", FE1), await home.phone("carol", FE1)
        assert [await say(alice, b"%d" % n) for n in range(3)] == [202, 202, 480]
        assert [await say(carol, b"%d" % n) for n in range(2)] == [202, 480]
        [line] = [line for line in home.told[FE1].lines if line["event"] == "message not stored"][:1]
        assert line["to"] == BOB
        assert "too many messages are stored" in line["why"]


@on_loop
async def test_limit_of_zero_stores_nothing(home: Network) -> None:
    limited(home.organisations[0], per_user=0)
    async with home:
        alice = await home.phone("alice", FE1)
        assert await say(alice, b"hello") == 480
        assert not (home.organisations[0].folder / "state" / "messages.db").exists() or not _stored(home)


def _stored(home: Network) -> int:
    with closing(sqlite3.connect(home.organisations[0].folder / "state" / "messages.db")) as db:
        [count] = db.execute("SELECT count(*) FROM stored_messages").fetchone()
    return int(count)


@on_loop
async def test_sender_of_messages_that_expire_at_once_fills_no_disk(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each counted for a second, and was on the disk for a minute. The message of another sender stays, and is delivered."""
    clock = count(time.time(), 2.0)
    monkeypatch.setattr(messages, "now", lambda _: next(clock))  # a second passes between two messages
    limited(home.organisations[0], per_user=3, per_sender=2)
    async with home:
        alice, carol = await home.phone("alice", FE1), await home.phone("carol", FE1)
        assert await say(carol, b"hello") == 202
        for number in range(20):
            assert await say(alice, b"%d" % number, ("expires", "1")) == 202
        assert _stored(home) <= 2
        bob = await home.phone("bob", FE1)
        came = await bob.request_in("MESSAGE")
        assert came.body == b"hello"
        await bob.reply(came, 200)


@on_loop
async def test_large_message_is_not_stored(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        assert await say(alice, b"x" * 131_000) == 480
        assert await say(alice, b"x" * 100_000) == 202


IN_CPIM = b"From: <sip:alice@example.test>\r\n\r\nContent-Type: message/imdn+xml\r\n\r\n<imdn/>"


@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/im-iscomposing+xml", b"<a/>"), ("message/imdn+xml", b"<imdn/>"), ("message/cpim", IN_CPIM)],
)
@on_loop
async def test_typing_and_receipts_reach_phones_that_are_there_and_are_not_stored(
    home: Network, kind: str, body: bytes
) -> None:
    """RFC 3994, RFC 5438. The text that is sent beside them is stored, and alone delivered."""
    async with home:
        alice = await home.phone("alice", FE1)
        sent = alice.request("MESSAGE", BOB, [("content-type", kind)], body)
        assert (await alice.ask(sent)).status == 480
        assert await say(alice, b"hello") == 202
        bob = await home.phone("bob", FE1)
        came = await bob.request_in("MESSAGE")
        assert came.body == b"hello"
        await bob.reply(came, 200)
        await until(lambda: not _stored(home) and not home.nodes[FE1].events.delivery.is_running(BOB))
        asked = asyncio.create_task(alice.ask(alice.request("MESSAGE", BOB, [("content-type", kind)], body)))
        came = await bob.request_in("MESSAGE")
        assert (came.first("content-type"), came.body) == (kind, body)
        await bob.reply(came, 200)
        assert (await asked).status == 200


@on_loop
async def test_partner_is_one_sender_with_all_its_names(federation: Network) -> None:
    """Otherwise a partner could take the room of all others with invented users."""
    limited(federation.organisations[0], per_user=5, per_sender=2)
    federation.organisations[1].add_users("frank")
    async with federation:
        erin, frank = await federation.phone("erin", PARTNER_FE), await federation.phone("frank", PARTNER_FE)
        alice = await federation.phone("alice", FE1)
        assert [await say(erin, b"1"), await say(frank, b"2"), await say(frank, b"3")] == [202, 202, 480]
        assert await say(alice, b"4") == 202
        assert federation.nodes[EDGE].relay.load == 0


@on_loop
async def test_user_of_a_partner_takes_half_of_what_the_partner_has(federation: Network) -> None:
    """The other half is for the other users of the partner."""
    limited(federation.organisations[0], per_user=9, per_sender=4)
    federation.organisations[1].add_users("frank")
    async with federation:
        erin, frank = await federation.phone("erin", PARTNER_FE), await federation.phone("frank", PARTNER_FE)
        assert [await say(erin, b"%d" % n) for n in range(3)] == [202, 202, 480]
        assert [await say(frank, b"%d" % n) for n in range(3)] == [202, 202, 480]


@on_jumping_loop
async def test_database_that_another_process_has_locked_gives_no_202(home: Network) -> None:
    """The message is withdrawn: who got 480 may send it again."""
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert await say(alice, b"first") == 202
        file = home.organisations[0].folder / "state" / "messages.db"
        node.loop.threads.clear()  # type: ignore[attr-defined]
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asked = alice.request("MESSAGE", BOB, [("content-type", "text/plain")], b"second")
            await alice.send(asked)
            while not node.events.storing._pending:
                await asyncio.sleep(0.001)
            await asyncio.sleep(WRITE_S)
            node.sweep.tick()
            assert (await alice.final()).status == 480
            other.execute("ROLLBACK")
        while node.message_queue.waiting:
            await asyncio.sleep(0)
        assert node.events.storing.counts[Storing.FAILED] == 1


@on_loop
async def test_messages_of_one_sender_that_wait_for_the_database_take_no_room_of_others(home: Network) -> None:
    """Alice floods bob, who is away, while the database is locked; a message of carol to him waits, and is stored."""
    async with home:
        alice, carol, node = await home.phone("alice", FE1), await home.phone("carol", FE1), home.nodes[FE1]
        assert await say(carol, b"first") == 202  # the database is open
        file = home.organisations[0].folder / "state" / "messages.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await alice.send(*(alice.request("MESSAGE", BOB, body=b"x") for _ in range(3 * MOST_OF_SENDER)))
            refused = [(await alice.final()).status for _ in range(2 * MOST_OF_SENDER)]
            assert set(refused) == {480}
            assert node.events.storing.counts[Storing.SENDER_FULL] == 2 * MOST_OF_SENDER
            waiting = node.message_queue.waiting
            await carol.send(carol.request("MESSAGE", BOB, body=b"of carol"))
            await until(lambda: node.message_queue.waiting > waiting)
        assert (await carol.final()).status == 202
        assert {(await alice.final()).status for _ in range(MOST_OF_SENDER)} <= {202, 480}


@pytest.mark.parametrize("dies", ["at once", "silently", ""])
@on_jumping_loop
async def test_message_for_a_phone_of_a_dead_server_is_stored_at_once(pool: Network, dies: str) -> None:
    """Its registration counts for a while longer. While the server lives, the phone gets the message itself."""
    async with pool, Between(pool.address(FE2, LinkKind.SERVER)) as between:
        node = pool.nodes[FE1]
        reach_by(node, FE2, between)
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        if dies == "silently":
            between.stop()
        elif dies:
            await between.__aexit__()
            await until(lambda: not [link for link in node.pool.all() if FE2 in link.names and link.usable])
        for text in (b"1", b"2", b"3"):
            if dies:
                assert await say(alice, text) == 202
            else:
                sent = alice.request("MESSAGE", BOB, [("content-type", "text/plain")], text)
                await alice.send(sent)
                await bob.reply(await bob.request_in("MESSAGE"), 480)
                assert (await alice.final()).status == 480
