"""Stored messages come at the next registration: in order, as sent, once, and from one server of the pool."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from server.proxy.events.test_message_storing import BOB, say
from sipmesh.server.proxy.events.message_delivery import RETRY_S
from sipmesh.server.proxy.events.unanswered import MOST_ATTEMPTS
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.framing import MAX_HEADER
from sipmesh.sip.message import Request
from sipmesh.sip.transaction.timers import Timer
from support.network import FE1, FE2, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop, until

DEVICE = ';+sip.instance="<urn:uuid:{}>"'


def stored(network: Network) -> list[bytes]:
    """The bodies of all messages in the database."""
    with closing(sqlite3.connect(network.organisations[0].folder / "state" / "messages.db")) as db:
        rows = db.execute("SELECT octets FROM stored_messages ORDER BY number").fetchall()
    return [octets.partition(b"\r\n\r\n")[2] for (octets,) in rows]


async def take(phone: Peer, status: int = 200) -> Request:
    """Answer the next message."""
    came = await phone.request_in("MESSAGE")
    await phone.reply(came, status)
    return came


async def is_over(node: RunningServer) -> None:
    """Wait until nothing is delivered any more."""
    await until(lambda: not node.events.delivery._running and not node.message_queue.waiting)


async def look(network: Network) -> None:
    """Have each server look who has messages, as its timer does."""
    for node in network.nodes.values():
        node.events._look_at = 0.0
        node.events.sweep()
    await until(lambda: not any(node.message_queue.waiting for node in network.nodes.values()))


async def device(network: Network, user: str, server: str, number: int) -> Peer:
    """A registered phone with an instance."""
    peer = await network.peer(server, user)
    contact, peer.contact = peer.contact, peer.contact + DEVICE.format(number)
    assert (await peer.register()).status == 200
    peer.contact = contact
    return peer


@on_loop
async def test_messages_arrive_in_their_order_with_identity_and_date(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        for text in (b"1", b"2", b"3"):
            assert await say(alice, text) == 202
        bob = await home.phone("bob", FE1)
        came = [await take(bob) for _ in range(3)]
        assert [one.body for one in came] == [b"1", b"2", b"3"]
        assert {(*one.values("p-asserted-identity"), one.from_.aor) for one in came} == {
            ("<sip:alice@example.test>", "sip:alice@example.test")
        }
        assert all(one.first("date") and one.uri in bob.contact and not one.contacts for one in came)
        await is_over(home.nodes[FE1])
        assert stored(home) == []
        await bob.silent()


@pytest.mark.parametrize("octets", ["text", 7, b"", b"\x00\xff"])
@on_loop
async def test_row_that_is_no_message_holds_up_no_other(home: Network, octets: object) -> None:
    """A client that can write to the database can write it."""
    async with home:
        alice = await home.phone("alice", FE1)
        assert [await say(alice, text) for text in (b"1", b"2")] == [202, 202]
        with closing(sqlite3.connect(home.organisations[0].folder / "state" / "messages.db")) as db:
            db.execute("UPDATE stored_messages SET octets = ? WHERE number = 1", (octets,))
            db.commit()
        bob = await home.phone("bob", FE1)
        assert (await take(bob)).body == b"2"
        await is_over(home.nodes[FE1])
        assert stored(home) == []


@on_loop
async def test_message_that_comes_during_the_delivery_comes_last(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        assert [await say(alice, text) for text in (b"1", b"2")] == [202, 202]
        bob = await home.phone("bob", FE1)
        first = await bob.request_in("MESSAGE")
        assert await say(alice, b"3") == 202
        await bob.reply(first, 200)
        assert [(await take(bob)).body for _ in range(2)] == [b"2", b"3"]


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_messages_come_once_at_any_server(pool: Network, server: str) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        assert [await say(alice, b"%d" % n) for n in range(3)] == [202] * 3
        await look(pool)
        bob = await pool.phone("bob", server)
        assert [(await take(bob)).body for _ in range(3)] == [b"0", b"1", b"2"]
        await bob.silent()
        for node in pool.nodes.values():
            await is_over(node)
        assert sum(node.events.delivery.delivered for node in pool.nodes.values()) == 3


@on_loop
async def test_two_devices_at_two_servers_get_each_message_once_between_them(pool: Network) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        assert [await say(alice, b"%d" % n) for n in range(4)] == [202] * 4
        await look(pool)
        phones = [await device(pool, "bob", server, number) for number, server in enumerate((FE1, FE2))]
        found: list[bytes] = []

        async def collect(phone: Peer) -> None:
            while True:
                found.append((await take(phone)).body)

        tasks = [asyncio.create_task(collect(phone)) for phone in phones]
        await until(lambda: len(found) >= 4)
        for node in pool.nodes.values():
            await is_over(node)
        assert found == [b"0", b"1", b"2", b"3"]
        for task in tasks:
            task.cancel()


@on_loop
async def test_message_that_one_phone_cannot_show_goes_to_the_other(home: Network) -> None:
    """A desk phone answers 405; the message waits for a phone that takes it."""
    async with home:
        alice = await home.phone("alice", FE1)
        assert await say(alice, b"hello") == 202
        desk = await device(home, "bob", FE1, 1)
        await take(desk, 405)
        await is_over(home.nodes[FE1])
        assert stored(home) == [b"hello"]
        soft = await device(home, "bob", FE1, 2)
        phones = asyncio.gather(take(soft), take(desk, 405))
        await until(lambda: not stored(home))
        phones.cancel()


@on_loop
async def test_phone_that_has_refused_a_message_does_not_get_it_again(home: Network) -> None:
    """Neither when a server looks who has messages, nor with a later message."""
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert await say(alice, b"hello") == 202
        desk = await device(home, "bob", FE1, 1)
        await take(desk, 405)
        for _ in range(2):
            await is_over(node)
            await look(home)
        node.events.delivery.start(BOB)
        await is_over(node)
        await desk.silent()
        assert stored(home) == [b"hello"]


@on_loop
async def test_receipt_that_a_phone_does_not_understand_is_removed(home: Network) -> None:
    """As linphone sends it, and an earlier release has stored it. The text beside it waits for another phone."""
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert [await say(alice, text) for text in (b"hello", b"<imdn/>")] == [202, 202]
        with closing(sqlite3.connect(home.organisations[0].folder / "state" / "messages.db")) as db, db:
            [octets] = db.execute("SELECT octets FROM stored_messages ORDER BY number DESC").fetchone()
            receipt = octets.replace(b"text/plain", b"message/imdn+xml")
            db.execute("UPDATE stored_messages SET octets = ? WHERE octets = ?", (receipt, octets))
        desk = await device(home, "bob", FE1, 1)
        for _ in range(2):
            await take(desk, 415)
        await is_over(node)
        await until(lambda: stored(home) == [b"hello"])


@on_loop
async def test_user_who_declines_does_not_get_it_again(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        assert [await say(alice, text) for text in (b"1", b"2")] == [202, 202]
        bob = await home.phone("bob", FE1)
        await take(bob, 603)
        assert (await take(bob)).body == b"2"
        await until(lambda: not stored(home))


@on_loop
async def test_link_that_ends_without_an_answer_loses_nothing(home: Network) -> None:
    """The same Call-ID and CSeq come again, so that a phone which had it knows it."""
    async with home:
        alice = await home.phone("alice", FE1)
        assert await say(alice, b"hello") == 202
        bob = await home.phone("bob", FE1)
        before = await bob.request_in("MESSAGE")
        await bob.__aexit__()
        await is_over(home.nodes[FE1])
        again = await take(await home.phone("bob", FE1))
        assert (again.call_id, str(again.cseq), again.body) == (before.call_id, str(before.cseq), b"hello")


@on_loop
async def test_messages_wait_while_the_servers_are_off(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        assert await say(alice, b"hello") == 202
        await home.stop(FE1)
        home.start(FE1)
        await look(home)
        assert (await take(await home.phone("bob", FE1))).body == b"hello"


@on_loop
async def test_message_that_a_server_has_left_is_delivered_by_the_server_that_has_the_phone(pool: Network) -> None:
    """It was stored while bob registered at the other server, and the first server stopped then."""
    async with pool:
        alice = await pool.phone("alice", FE1)
        pool.nodes[FE1].events.delivery.close()
        assert await say(alice, b"hello") == 202
        bob = await pool.phone("bob", FE2)
        await look(pool)
        assert (await take(bob)).body == b"hello"


@on_jumping_loop
async def test_phone_that_is_busy_is_asked_again_later(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert await say(alice, b"hello") == 202
        bob = await home.phone("bob", FE1)
        await take(bob, 503)
        await is_over(node)
        await asyncio.sleep(RETRY_S - 1)
        node.events.delivery.sweep()
        assert not node.events.delivery._running
        await asyncio.sleep(1)
        node.events.delivery.sweep()
        assert (await take(bob)).body == b"hello"


@on_loop
async def test_message_of_a_partner_keeps_its_sender(federation: Network) -> None:
    async with federation:
        erin = await federation.phone("erin", PARTNER_FE)
        cpim = b"From: <im:erin@partner.test>\r\n\r\nContent-Type: text/plain\r\n\r\nhello"
        asked = erin.request("MESSAGE", BOB, [("content-type", "message/cpim")], cpim)
        assert (await erin.ask(asked)).status == 202
        await look(federation)
        came = await take(await federation.phone("bob", FE1))
        assert came.values("p-asserted-identity") == ["<sip:erin@partner.test>"]
        assert (came.from_.aor, came.first("content-type"), came.body) == (
            "sip:erin@partner.test",
            "message/cpim",
            cpim,
        )


@on_loop
async def test_message_that_is_too_long_to_be_sent_is_passed_over(home: Network) -> None:
    """As an earlier release has stored it."""
    async with home:
        alice = await home.phone("alice", FE1)
        assert [await say(alice, text) for text in (b"1", b"2")] == [202, 202]
        with closing(sqlite3.connect(home.organisations[0].folder / "state" / "messages.db")) as db, db:
            long = b"\r\nSubject: " + b"x" * MAX_HEADER + b"\r\n\r\n1"
            [octets] = db.execute("SELECT octets FROM stored_messages ORDER BY number").fetchone()
            changed = octets.replace(b"\r\n\r\n1", long)
            db.execute("UPDATE stored_messages SET octets = ? WHERE octets = ?", (changed, octets))
        bob = await home.phone("bob", FE1)
        assert (await take(bob)).body == b"2"
        await is_over(home.nodes[FE1])
        assert stored(home) == [b"1"]


async def timer_f(node: RunningServer) -> None:
    """Let the time for an answer pass."""
    await asyncio.sleep(Timer.F.seconds + 1)
    node.events.sweep()


async def retry(node: RunningServer) -> None:
    await is_over(node)
    await asyncio.sleep(RETRY_S)
    node.events.sweep()


@on_jumping_loop
async def test_message_without_an_answer_holds_up_its_own_sender_only(home: Network) -> None:
    """And that one for a few attempts: then those behind it come, in their order."""
    async with home:
        alice, carol, node = await home.phone("alice", FE1), await home.phone("carol", FE1), home.nodes[FE1]
        for sender, text in ((alice, b"bad"), (alice, b"2"), (carol, b"3"), (alice, b"4")):
            assert await say(sender, text) == 202
        bob = await home.phone("bob", FE1)
        for attempt in range(MOST_ATTEMPTS):
            assert (await bob.request_in("MESSAGE")).body == b"bad"
            await timer_f(node)
            if not attempt:
                assert (await take(bob)).body == b"3"
            if attempt < MOST_ATTEMPTS - 1:
                await retry(node)
        assert [(await take(bob)).body for _ in range(2)] == [b"2", b"4"]
        await is_over(node)
        assert stored(home) == [b"bad"]


@on_jumping_loop
async def test_new_message_comes_behind_a_message_that_is_tried_again(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert await say(alice, b"1") == 202
        bob = await home.phone("bob", FE1)
        await bob.request_in("MESSAGE")
        await timer_f(node)
        await is_over(node)
        assert await say(alice, b"2") == 202
        assert [(await take(bob)).body for _ in range(2)] == [b"1", b"2"]
        await is_over(node)
        assert not node.events.delivery._undelivered


@on_jumping_loop
async def test_phone_that_answers_nothing_gets_two_messages_in_a_round(home: Network) -> None:
    """It holds one place among the deliveries for a minute, however many senders have written."""
    async with home:
        alice, carol, node = await home.phone("alice", FE1), await home.phone("carol", FE1), home.nodes[FE1]
        assert [await say(sender, b"%d" % n) for n in range(2) for sender in (alice, carol, carol)] == [202] * 6
        bob = await home.phone("bob", FE1)
        for _ in range(2):
            await bob.request_in("MESSAGE")
            await timer_f(node)
        await is_over(node)
        await bob.silent()
        assert len(stored(home)) == 6


@on_jumping_loop
async def test_start_before_the_messages_were_read_brings_no_second_round(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert await say(alice, b"1") == 202
        bob = await home.phone("bob", FE1)
        await bob.request_in("MESSAGE")
        await timer_f(node)
        await is_over(node)
        node.events.delivery.start(BOB)
        node.events.delivery.start(BOB)
        await bob.request_in("MESSAGE")
        await timer_f(node)
        await is_over(node)
        await bob.silent()


@on_jumping_loop
async def test_phone_on_a_new_link_gets_the_message_that_it_has_not_answered(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert await say(alice, b"1") == 202
        bob = await home.phone("bob", FE1)
        for _ in range(MOST_ATTEMPTS):
            await bob.request_in("MESSAGE")
            await timer_f(node)
            await retry(node)
        await bob.silent()
        assert (await take(await home.phone("bob", FE1))).body == b"1"
        await is_over(node)
        assert stored(home) == []


@on_jumping_loop
async def test_message_that_expires_behind_another_one_is_not_delivered(home: Network) -> None:
    """The phone has half a minute for each answer; what has not expired meanwhile comes."""
    async with home:
        alice = await home.phone("alice", FE1)
        for text, seconds in ((b"1", "600"), (b"2", "20"), (b"3", "600")):
            assert await say(alice, text, ("expires", seconds)) == 202
        bob = await home.phone("bob", FE1)
        first = await bob.request_in("MESSAGE")
        await asyncio.sleep(21)
        await bob.reply(first, 200)
        assert (first.body, (await take(bob)).body) == (b"1", b"3")
        await is_over(home.nodes[FE1])
        await bob.silent()


@pytest.mark.parametrize(("seconds", "comes"), [("20", 0), ("600", 1)])
@on_jumping_loop
async def test_message_goes_on_to_another_phone_unless_it_has_expired_meanwhile(
    home: Network, seconds: str, comes: int
) -> None:
    """Each phone has half a minute for its answer, and the newest one is tried first."""
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert await say(alice, b"1", ("expires", seconds)) == 202
        phones = [await device(home, "bob", FE1, number) for number in (1, 2)]
        for phone in phones:
            await phone.request_in("MESSAGE")
            await timer_f(node)
        assert [(await take(phones[0])).body for _ in range(comes)] == [b"1"] * comes
        await is_over(node)
        await phones[0].silent()
