"""Who wants to read or erase the message history of another user, and does not; the user itself does, beside it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from threading import Event

import pytest

from server.proxy.events.test_message_history import ALICE, tell
from server.proxy.events.test_message_storing import BOB, say
from server.proxy.events.test_notifier import subscribe
from support.history import asked, erase, keep_history, kept, messages, partners, refusal, texts
from support.network import BOT, FE1, FE2, FE3, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop, until


async def talked(network: Network, server: str = FE1, other: str = FE1) -> tuple[Peer, Peer]:
    """Let alice write to bob, and give their phones."""
    alice, bob = await network.phone("alice", server), await network.phone("bob", other)
    assert await tell(alice, bob, b"secret") == 200
    await kept(network, 2)
    return alice, bob


@on_loop
async def test_other_user_and_stranger_read_and_erase_nothing(pool: Network) -> None:
    keep_history(pool)
    async with pool:
        alice, _ = await talked(pool)
        carol, stranger = await pool.phone("carol", FE2), await pool.peer(FE2, "alice")
        for who in (carol, stranger):
            assert await refusal(who, asked(), ALICE) in {403, 407}
            assert await refusal(who, asked("bob@example.test"), ALICE) in {403, 407}
            assert await erase(who, "*", ALICE) in {403, 407}
        assert await partners(carol) == []
        assert await texts(alice, "bob@example.test") == ["secret"]


@on_loop
async def test_partner_reads_and_erases_nothing(federation: Network) -> None:
    keep_history(federation)
    async with federation:
        alice, _ = await talked(federation)
        erin = await federation.phone("erin", PARTNER_FE)
        assert await refusal(erin, asked(), ALICE) == 403
        assert await erase(erin, "*", ALICE) == 403
        assert await texts(alice, "bob@example.test") == ["secret"]


@pytest.mark.parametrize("speaks", [False, True])
@on_loop
async def test_application_reads_and_erases_nothing_also_where_it_may_speak_for_users(
    pool: Network, *, speaks: bool
) -> None:
    keep_history(pool)
    if speaks:
        pool.let_application_speak()
    async with pool:
        alice, _ = await talked(pool)
        for server in (FE1, FE2):
            bot = await pool.peer(server, "alice", BOT)
            assert (await bot.ask(subscribe(bot, ALICE, asked()))).status == 403
            assert await erase(bot, "*", ALICE) == 403
        assert await texts(alice, "bob@example.test") == ["secret"]


@on_loop
async def test_front_end_of_another_pool_reads_and_erases_nothing(two_pools: Network) -> None:
    """With its own certificate, in the name of a user of this pool."""
    keep_history(two_pools)
    async with two_pools:
        alice, _ = await talked(two_pools, FE1, FE3)
        await two_pools.stop(FE3)
        other = await two_pools.peer(FE1, "alice", FE3)
        asserted = ("p-asserted-identity", f"<{ALICE}>")
        assert (await other.ask(subscribe(other, ALICE, asked(), asserted))).status == 403
        assert await erase(other, "*", ALICE) == 403
        assert await texts(alice, "bob@example.test") == ["secret"]


@on_loop
async def test_instant_of_another_user_leads_to_the_own_history_only(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await talked(home)
        [sent] = await messages(alice, "bob@example.test")
        carol = await home.phone("carol", FE1)
        assert await messages(carol, "bob@example.test", sent["at"] + 1) == []
        assert await messages(bob, "bob@example.test", sent["at"] + 1) == []
        assert await messages(alice, "bob@example.test", sent["at"] + 1) == [sent]


@on_loop
async def test_flood_of_one_sender_is_written_after_the_stored_message_of_another(home: Network) -> None:
    """It was ahead of it: while the disk was slow, carol got 480 after five seconds."""
    keep_history(home)
    async with home:
        alice, carol = await home.phone("alice", FE1), await home.phone("carol", FE1)
        history, begun, answers = home.nodes[FE1].events.history, Event(), Event()

        def take_long(_: object) -> None:
            begun.set()
            answers.wait()

        try:
            history._queue.submit(take_long)
            await until(begun.is_set)  # before, the flood would be in its transaction
            for number in range(30):
                assert await tell(alice, carol, b"%d" % number, to="sip:carol@example.test") == 200
            waiting = history._queue.waiting
            storing = asyncio.ensure_future(say(carol, b"hello"))
            await until(lambda: history._queue.waiting > waiting)
        finally:
            answers.set()
        assert await storing == 202
        await until(lambda: history.kept >= 60)
        with closing(sqlite3.connect(home.organisations[0].folder / "state" / "messages.db")) as db:
            [(expires,)] = db.execute("SELECT expires FROM stored_messages").fetchall()
            stored = (expires - history._current.value.messages.lifetime_s) * 1e6
            flood = "SELECT count(*) FROM message_history WHERE at > ?"
            assert db.execute(flood, (stored,)).fetchone()[0] >= 60


@on_loop
async def test_message_that_is_sent_again_is_in_the_history_once(home: Network) -> None:
    """With the same Call-ID, tag and CSeq in another transaction: phones show it again, or do not."""
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        request = alice.request("MESSAGE", BOB, [("content-type", "text/plain")], b"hello")
        again = request.copy()
        again.remove("via")
        again.append("via", f"{request.first('via')}2")
        for one in (request, again):
            asking = asyncio.ensure_future(alice.ask(one))
            await bob.reply(await bob.request_in("MESSAGE"), 200)
            assert (await asking).status == 200
        assert await tell(alice, bob, b"next") == 200
        await kept(home, 4)
        assert await texts(bob, "alice@example.test") == ["next", "hello"]


@on_loop
async def test_contact_with_the_name_of_another_user_writes_nothing_into_that_history(pool: Network) -> None:
    """The phone of bob registers the address of carol as its Contact at another server than that of alice."""
    keep_history(pool)
    async with pool:
        alice, carol, bob = await pool.phone("alice", FE1), await pool.phone("carol", FE1), await pool.peer(FE2, "bob")
        registered = await bob.register([("contact", "<sip:carol@example.test>")])
        assert registered.status in {200, 400, 403}
        asking = asyncio.ensure_future(say(alice, b"for bob"))
        if registered.status == 200:
            await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert await asking in {200, 202}
        await kept(pool, 2)
        assert await partners(carol) == []
        assert await partners(alice) == ["bob@example.test"]


@on_loop
async def test_database_that_was_tampered_with_shows_no_false_message(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await talked(home)
        assert await tell(bob, alice, b"answer", to=ALICE) == 200
        await kept(home, 4)
        with closing(sqlite3.connect(home.organisations[0].folder / "state" / "messages.db")) as db, db:
            assert b"secret" not in b"".join(row[0] for row in db.execute("SELECT octets FROM message_history"))
            db.execute("UPDATE message_history SET octets = (SELECT octets FROM message_history LIMIT 1)")
        assert sorted(await texts(alice, "bob@example.test") + await texts(bob, "alice@example.test")) in (
            ["secret"],
            ["answer"],
        )
        assert await tell(alice, bob, b"more") == 200
        await until(lambda: home.nodes[FE1].events.history.kept == 6)
        assert (await texts(bob, "alice@example.test"))[0] == "more"


@on_loop
async def test_markup_and_control_characters_come_as_they_are(home: Network) -> None:
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        text = b'<img src=x onerror=alert(1)>\x00"\\\r\n\xe2\x80\xae'
        assert await tell(alice, bob, text, ("subject", "<b>x")) == 200
        assert await tell(alice, bob, b"\xff\xfe") == 200
        await kept(home, 4)
        octets, shown = await messages(bob, "alice@example.test")
        assert (shown["text"].encode(), shown["subject"]) == (text, "<b>x")
        assert octets["base64"] == "//4="
