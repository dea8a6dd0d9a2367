"""What users send and receive is kept once, read by its user alone, and erased when the user or the topology says so."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from threading import Event

import pytest

from server.proxy.events.test_message_delivery import take
from server.proxy.events.test_message_storing import BOB, say
from sipmesh.server.proxy.events.message_history import MOST_WAITING, OCTETS_AN_HOUR, READS_A_MINUTE
from sipmesh.storage.users.directory_entry import DirectoryEntry, DirectoryStep, StepKind
from sipmesh.storage.users.directory_links import DirectoryLinks
from sipmesh.storage.users.user_database import Users
from support.call_rules import group, refreshed
from support.history import asked, erase, keep_history, kept, messages, partners, read, refusal, texts
from support.network import FE1, FE2, FE3, FE4, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop, until

ALICE = "sip:alice@example.test"


async def tell(sender: Peer, receiver: Peer, text: bytes, *headers: tuple[str, str], to: str = BOB) -> int:
    """Send a message that the *receiver* takes; gives the status."""
    asking = asyncio.ensure_future(say(sender, text, *headers, to=to))
    await take(receiver)
    return await asking


def rows(network: Network) -> int:
    with closing(sqlite3.connect(network.organisations[0].folder / "state" / "messages.db")) as db:
        return int(db.execute("SELECT count(*) FROM message_history").fetchone()[0])


def left(network: Network, count: int) -> bool:
    """Let the servers look, as their timer does, and tell whether so many rows are left."""
    for node in network.nodes.values():
        node.events.history.sweep()
    return rows(network) == count


@pytest.mark.parametrize(("server", "other"), [(FE1, FE2), (FE2, FE1), (FE1, FE1)])
@on_loop
async def test_both_sides_see_a_message_once_at_any_server_of_the_pool(pool: Network, server: str, other: str) -> None:
    keep_history(pool)
    async with pool:
        alice, bob = await pool.phone("alice", server), await pool.phone("bob", other)
        assert await tell(alice, bob, b"hello") == 200
        await kept(pool, 2)
        [sent] = await messages(alice, "bob@example.test")
        [came] = await messages(bob, "alice@example.test")
        assert (sent["mine"], came["mine"], came["from"], came["proved"]) == (True, False, "alice@example.test", True)
        assert (sent["text"], came["text"], sent["type"]) == ("hello", "hello", "text/plain")
        second = await pool.phone("alice", other)
        assert await texts(second, "bob@example.test") == ["hello"]
        assert await partners(second) == ["bob@example.test"]


@on_loop
async def test_message_that_is_stored_and_delivered_later_is_there_once(home: Network) -> None:
    keep_history(home)
    async with home:
        alice = await home.phone("alice", FE1)
        assert await say(alice, b"later") == 202
        bob = await home.phone("bob", FE1)
        await take(bob)
        await kept(home, 2)
        assert await texts(bob, "alice@example.test") == await texts(alice, "bob@example.test") == ["later"]


@on_loop
async def test_without_a_history_in_the_topology_nothing_is_written(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert await tell(alice, bob, b"hello") == 200
        assert await refusal(alice, asked()) == 403
        assert await erase(alice, "*") == 403
        assert await say(alice, b"later", to="sip:carol@example.test") == 202
        assert rows(home) == 0


@on_loop
async def test_other_pools_keep_the_side_of_their_own_user(two_pools: Network) -> None:
    keep_history(two_pools)
    async with two_pools:
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.phone("bob", FE3)
        assert await tell(alice, bob, b"hello") == 200
        await kept(two_pools, 2)
        assert await texts(alice, "bob@example.test") == await texts(bob, "alice@example.test") == ["hello"]
        by_pool = [[two_pools.nodes[one].events.history.kept for one in pool] for pool in ((FE1, FE2), (FE3, FE4))]
        assert [sum(pool) for pool in by_pool] == [1, 1]


@on_loop
async def test_user_at_a_server_of_another_pool_has_the_history_of_the_home_pool(two_pools: Network) -> None:
    keep_history(two_pools)
    async with two_pools:
        alice, bob = await two_pools.phone("alice", FE3), await two_pools.phone("bob", FE1)
        assert await tell(alice, bob, b"hello") == 200
        await kept(two_pools, 2)  # another server of the home pool may keep the next one
        assert await tell(bob, alice, b"hi", to=ALICE) == 200
        await kept(two_pools, 4)
        assert await texts(alice, "bob@example.test") == await texts(bob, "alice@example.test") == ["hi", "hello"]
        assert await erase(alice, "bob@example.test") == 200
        assert (await partners(alice), await partners(bob)) == ([], ["alice@example.test"])


@on_loop
async def test_partner_is_shown_as_not_proved(federation: Network) -> None:
    keep_history(federation)
    async with federation:
        erin, bob = await federation.phone("erin", PARTNER_FE), await federation.phone("bob", FE1)
        assert await tell(erin, bob, b"hello") == 200
        await kept(federation, 1)
        [came] = await messages(bob, "erin@partner.test")
        assert (came["from"], came["proved"], came["text"]) == ("erin@partner.test", False, "hello")


@on_loop
async def test_sender_who_withholds_is_anonymous_for_the_receiver(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert await tell(alice, bob, b"psst", ("privacy", "id")) == 200
        await kept(home, 2)
        [came] = await messages(bob, "anonymous@anonymous.invalid")
        assert "alice" not in str(came)
        assert await partners(alice) == ["bob@example.test"]


@on_loop
async def test_message_to_a_group_is_in_the_conversation_of_the_group(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await group(home, "sales", "alice", "bob", "carol")
        assert await say(alice, b"all", to="sip:sales@example.test") == 202
        await take(bob)
        await kept(home, 3)
        [came] = await messages(bob, "sales@example.test")
        assert (came["from"], came["text"]) == ("alice@example.test", "all")
        assert await partners(alice) == await partners(bob) == ["sales@example.test"]
        carol = await home.phone("carol", FE1)
        await take(carol)
        assert await texts(carol, "sales@example.test") == ["all"]


@on_loop
async def test_member_at_another_pool_finds_it_in_the_conversation_of_the_group(two_pools: Network) -> None:
    keep_history(two_pools)
    async with two_pools:
        alice, bob = await two_pools.phone("alice", FE1), await two_pools.phone("bob", FE3)
        await group(two_pools, "sales", "alice", "bob", pool="pool1.example.test")
        assert await say(alice, b"all", to="sip:sales@example.test") == 202
        await take(bob)
        await kept(two_pools, 2)
        assert await texts(bob, "sales@example.test") == await texts(alice, "sales@example.test") == ["all"]


@pytest.mark.parametrize("kind", ["application/im-iscomposing+xml", "message/imdn+xml"])
@on_loop
async def test_typing_and_receipts_are_not_kept(home: Network, kind: str) -> None:
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        asking = asyncio.ensure_future(alice.ask(alice.request("MESSAGE", BOB, [("content-type", kind)], b"<x/>")))
        await take(bob)
        assert (await asking).status == 200
        assert await tell(alice, bob, b"hello") == 200
        await kept(home, 2)
        assert await texts(bob, "alice@example.test") == ["hello"]


@on_loop
async def test_user_pages_back_and_erases_one_conversation_or_all(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        for text in (b"1", b"2"):
            assert await tell(alice, bob, text) == 200
        assert await say(alice, b"you too", to="sip:carol@example.test") == 202
        await kept(home, 6)
        newest, oldest = await messages(alice, "bob@example.test")
        assert await messages(alice, "bob@example.test", newest["at"]) == [oldest]
        assert await erase(alice, "BOB@example.test") == 200
        assert await partners(alice) == ["carol@example.test"]
        assert await erase(alice, "*") == 200
        assert (await partners(alice), await texts(bob, "alice@example.test")) == ([], ["2", "1"])


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"erase": 1}', b'{"erase": ""}', b'{"all": "*"}', b'{"erase": "*", "x": 1}']
)
@on_loop
async def test_order_that_cannot_be_read_erases_nothing(home: Network, body: bytes) -> None:
    keep_history(home)
    async with home:
        alice = await home.phone("alice", FE1)
        headers = [("event", "message-history"), ("content-type", "application/json")]
        assert (await alice.ask(alice.request("PUBLISH", ALICE, headers, body))).status == 400
        plain = [("event", "message-history"), ("content-type", "text/plain")]
        assert (await alice.ask(alice.request("PUBLISH", ALICE, plain, b'{"erase": "*"}'))).status == 415
        assert await refusal(alice, "message-history;before=x") == 400


@on_loop
async def test_reads_of_a_minute_are_bounded(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        history = home.nodes[FE1].events.history
        for _ in range(2 * READS_A_MINUTE):  # of two minutes at most
            history.refused(ALICE, asked())
        assert await refusal(alice, asked()) == 503
        assert await partners(bob) == []


@on_loop
async def test_history_that_is_switched_off_is_erased_soon_and_a_shorter_one_is_shorter(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert await tell(alice, bob, b"old") == 200
        await kept(home, 2)
        with closing(sqlite3.connect(home.organisations[0].folder / "state" / "messages.db")) as db, db:
            db.execute("UPDATE message_history SET at = at - 864000000000 WHERE rowid = 1")
        keep_history(home, 5)
        await until(lambda: left(home, 1))
        keep_history(home, None)
        await until(lambda: left(home, 0))
        assert await refusal(alice, asked()) == 403


@on_loop
async def test_later_user_of_the_same_name_sees_nothing_also_if_both_changes_come_at_once(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert await tell(alice, bob, b"secret") == 200
        await kept(home, 2)
        users = Users(home.organisations[0].load().users_url)
        users.remove("bob@example.test")
        users.add("bob@example.test", "bob-secret")
        users.close()
        await refreshed(home)
        later = await home.phone("bob", FE1)
        assert await partners(later) == []
        assert await tell(alice, later, b"hello") == 200
        await kept(home, 4)
        assert await texts(later, "alice@example.test") == ["hello"]


@on_loop
async def test_history_of_a_removed_user_goes_and_that_of_others_stays(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert await tell(alice, bob, b"hello") == 200
        await kept(home, 2)
        users = Users(home.organisations[0].load().users_url)
        users.remove("bob@example.test")
        users.close()
        await refreshed(home)
        await until(lambda: left(home, 1))
        assert await texts(alice, "bob@example.test") == ["hello"]


@on_loop
async def test_server_that_was_away_removes_the_history_of_removed_users(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert await tell(alice, bob, b"hello") == 200
        await kept(home, 2)
        await home.stop(FE1)
        users = Users(home.organisations[0].load().users_url)
        users.remove("bob@example.test")
        users.close()
        home.start(FE1)
        await until(lambda: left(home, 1))


def of_directory(network: Network, kind: StepKind, address: str) -> None:
    """Add a user, or rename the user, as the synchronisation with a directory does; the password is that of the tests."""
    users = Users(network.organisations[0].load().users_url)
    links = DirectoryLinks(users)
    step = DirectoryStep(kind, DirectoryEntry("1", f"sip:{address}@example.test"), links.held().links.get("1"))
    links.take([step], datetime.now(UTC))
    users.set_password(f"{address}@example.test", f"{address}-secret")
    users.close()


@on_loop
async def test_renamed_user_keeps_the_history(home: Network) -> None:
    """The account stays, and the old address is an alias of the new one."""
    keep_history(home)
    of_directory(home, StepKind.ADD, "dirk")
    async with home:
        alice, dirk = await home.phone("alice", FE1), await home.phone("dirk", FE1)
        assert await tell(alice, dirk, b"hello", to="sip:dirk@example.test") == 200
        assert await tell(dirk, alice, b"hi", to=ALICE) == 200
        await kept(home, 4)
        of_directory(home, StepKind.RENAME, "derek")
        await refreshed(home)
        derek = await home.phone("derek", FE1)
        assert await texts(derek, "alice@example.test") == ["hi", "hello"]
        assert rows(home) == 4


@on_loop
async def test_history_that_cannot_be_written_stops_no_message(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        with closing(sqlite3.connect(home.organisations[0].folder / "state" / "messages.db")) as db, db:
            db.execute("ALTER TABLE message_history RENAME TO away")
        assert await tell(alice, bob, b"hello") == 200
        history = home.nodes[FE1].events.history
        await until(lambda: history.lost == 2)
        history.sweep()
        [line] = [line for line in home.told[FE1].lines if line["event"] == "entries of message histories were lost"]
        assert line["entries"] == 2
        assert await read(alice, asked()) == {"unavailable": True}
        assert await erase(alice, "*") == 503
        with closing(sqlite3.connect(home.organisations[0].folder / "state" / "messages.db")) as db, db:
            db.execute("ALTER TABLE away RENAME TO message_history")
        assert await tell(alice, bob, b"again") == 200
        await kept(home, 2)
        assert await texts(bob, "alice@example.test") == ["again"]


@on_loop
async def test_messages_wait_for_a_slow_database_and_a_flood_leaves_room_for_others(home: Network) -> None:
    """It was 50 messages of one sender that could wait: what came above that was missing, between earlier and later messages."""
    keep_history(home)
    async with home:
        alice, bob, carol = [await home.phone(name, FE1) for name in ("alice", "bob", "carol")]
        history, answers = home.nodes[FE1].events.history, Event()
        try:
            history._queue.submit(lambda _: answers.wait())  # a transaction that takes long
            for number in range(100):
                assert await tell(alice, bob, b"%d" % number) == 200
            while history._queue.waiting < MOST_WAITING - 200:  # as much room as alice has taken
                history._queue.submit(lambda _: None)
            assert await tell(alice, bob, b"too much") == await tell(carol, bob, b"hello") == 200
            assert history.lost == 2
        finally:
            answers.set()
        await kept(home, 202)
        newest = await messages(alice, "bob@example.test")
        assert [one["text"] for one in newest] == [str(number) for number in range(99, 49, -1)]
        older = await messages(alice, "bob@example.test", newest[-1]["at"])
        assert [one["text"] for one in older] == [str(number) for number in range(49, -1, -1)]
        assert await texts(carol, "bob@example.test") == ["hello"]


@on_loop
async def test_flood_of_one_sender_is_kept_up_to_its_share_of_the_hour(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob, carol = [await home.phone(name, FE1) for name in ("alice", "bob", "carol")]
        history = home.nodes[FE1].events.history
        assert history._has_room(ALICE, OCTETS_AN_HOUR)
        assert await tell(alice, bob, b"more") == await tell(carol, bob, b"hello") == 200
        await until(lambda: (history.kept, history.lost) == (2, 2))
        assert await partners(bob) == ["carol@example.test"]
