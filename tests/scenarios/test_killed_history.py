"""`kill -9` in the middle of message histories and uploads: real servers, whose databases are looked at afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from time import time
from typing import Any

import pytest

from attacks.test_sent_files import parts
from server.invitations.test_file_pages import connected, head_of, send, told, upload, usage
from sipmesh.demo.organisation import Organisation
from sipmesh.server.portal.file_keeper import LEASE_S
from sipmesh.storage.sent_files import PART
from support.account_tickets import TicketPage
from support.answered import Phone, final
from support.contacts import DavPhone
from support.history import EVENT, asked, read
from support.managed import MGMT
from support.network import FE1, Network
from support.peer import Peer
from support.process import Process, serving
from support.running import on_loop, until, within
from support.workers import Workers, give_workers, is_running

pytestmark = pytest.mark.wide

ALICE, BOB = "alice@example.test", "bob@example.test"
KILLS = 4
MOST_BEHIND = 500
"""Messages that wait for the database at most, two entries each: fewer than `MOST_WAITING` allows of one sender."""

WRITTEN_AFTER = 100
KEPT = 25
"""Rows that are there before each kill, at least; after some kills, more."""


def file_of(organisation: Organisation) -> Path:
    return organisation.folder / "state" / "messages.db"


def asked_of(organisation: Organisation, query: str) -> list[Any]:
    """Ask the database; nothing while it has no tables."""
    with closing(sqlite3.connect(file_of(organisation))) as db:
        is_there = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'message_history_users'").fetchone()
        return db.execute(query).fetchall() if is_there else []


def rows(organisation: Organisation) -> int:
    return sum(found for (found,) in asked_of(organisation, "SELECT count(*) FROM message_history"))


def is_stored(organisation: Organisation) -> bool:
    """Tell whether messages wait for their receiver."""
    return bool(asked_of(organisation, "SELECT 1 FROM stored_messages"))


def assert_counts_are_those_of_the_rows(organisation: Organisation) -> None:
    counted = "SELECT owner, messages, octets FROM message_history_users ORDER BY owner"
    there = "SELECT owner, count(*), sum(size) FROM message_history GROUP BY owner ORDER BY owner"
    assert asked_of(organisation, counted) == asked_of(organisation, there)
    with closing(sqlite3.connect(file_of(organisation))) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def with_history(organisation: Organisation) -> Organisation:
    document: dict[str, Any] = organisation.document
    document["history"] = {"days": 30}
    organisation.write()
    return organisation


async def history_of(reader: Peer, who: str) -> list[str]:
    """All texts of a conversation, the oldest first."""
    found, before = list[str](), 0
    while True:
        page = await read(reader, asked(who, before))
        found += [one["text"] for one in page["messages"]]
        before = page.get("before", 0)
        if not before:
            return found[::-1]


class Talk:
    """Messages of one phone to another, one after the other; *answered* are those with a 2xx.

    It waits for the database before that loses some.
    """

    def __init__(self, organisation: Organisation, sender: Phone, numbers: count[int]) -> None:
        self.answered: list[str] = []
        self.task = asyncio.ensure_future(self._go_on(organisation, sender, numbers))

    async def _go_on(self, organisation: Organisation, sender: Phone, numbers: count[int]) -> None:
        before = rows(organisation)
        for number in numbers:
            if len(self.answered) % WRITTEN_AFTER == 0:
                await until(lambda: rows(organisation) - before > 2 * (len(self.answered) - MOST_BEHIND))
            headers = [("content-type", "text/plain")]
            request = sender.peer.request("MESSAGE", f"sip:{BOB}", headers, f"message {number}".encode())
            if (await final(await sender.send(request))).status in {200, 202}:
                self.answered.append(f"message {number}")

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


@asynccontextmanager
async def running(organisation: Organisation, workers: int) -> AsyncIterator[tuple[Process, Peer, Peer]]:
    """Run the server, with alice and bob; with workers, each of them is at another one."""
    async with Network((organisation,), starts=()) as network, serving(organisation, FE1) as server:

        async def phone(user: str, worker: int) -> Peer:
            own = Workers(network, server)
            return await (own.phone(user, worker) if workers > 1 else network.phone(user, FE1))

        alice, away = await phone("alice", 1), Phone(await phone("bob", 2), FE1)
        await until(lambda: not is_stored(organisation))  # bob takes what waits, also what he had without an answer
        await away.close()
        yield server, alice, await phone("bob", 2)


@pytest.mark.parametrize(("workers", "how"), [(1, "server"), (2, "server"), (2, "worker")])
@within(300.0)
async def test_process_that_is_killed_while_it_keeps_loses_the_last_messages_alone(
    example: Organisation, workers: int, how: str
) -> None:
    """Those that were in the database stay. None is doubled, and the counts of each user are those of the rows."""
    organisation, numbers, before, last = with_history(example), count(1), list[str](), list[str]()
    if workers > 1:
        give_workers(organisation, FE1)
    for kill in range(KILLS + 1):
        async with running(organisation, workers) as (server, alice, bob):
            found = await history_of(alice, BOB)
            came = await history_of(bob, ALICE)
            assert (len(came), len(found)) == (len(set(came)), len(set(found)))
            assert found[: len(before)] == before
            there = [text for text in found[len(before) :] if text in last]
            assert there == last[: len(there)]
            if kill == KILLS:
                return
            before, wanted = found, rows(organisation) + KEPT + 7 * kill
            sender, receiver = Phone(alice, FE1), Phone(bob, FE1)
            talk = Talk(organisation, sender, numbers)
            await until(lambda wanted=wanted: rows(organisation) >= wanted)  # type: ignore[misc]
            pids = [one["pid"] for one in (await server.ask("status"))["workers"]]
            for pid in pids if how == "worker" else ():
                os.kill(pid, signal.SIGKILL)
            await server.end(signal.SIGKILL)
            await until(lambda pids=pids: not any(map(is_running, pids)))  # type: ignore[misc]
            await talk.end()
            for phone in (sender, receiver):
                await phone.close()
        last = talk.answered
        assert rows(organisation) >= wanted
        assert_counts_are_those_of_the_rows(organisation)


def whole(folder: Path) -> int:
    """Give how many files count."""
    with closing(sqlite3.connect(folder / "o" / "state" / "files.db")) as db:
        return int(db.execute("SELECT count(*) FROM sent_files WHERE parts > 0").fetchone()[0])


async def order(peer: Peer) -> None:
    """Send the order to erase all; its answer may never come."""
    headers = [("event", EVENT), ("content-type", "application/json")]
    await peer.send(peer.request("PUBLISH", f"sip:{peer.user}", headers, json.dumps({"erase": "*"}).encode()))


async def filled(organisation: Organisation) -> None:
    """Have 60 messages in each history."""
    async with running(organisation, 1) as (_, alice, bob):
        sender, receiver = Phone(alice, FE1), Phone(bob, FE1)
        there = rows(organisation)
        talk = Talk(organisation, sender, count(there + 1))
        await until(lambda: rows(organisation) >= there + 120)
        await talk.end()
        for phone in (sender, receiver):
            await phone.close()


def of_each(organisation: Organisation) -> dict[str, int]:
    return dict(asked_of(organisation, "SELECT owner, count(*) FROM message_history GROUP BY owner"))


@within(300.0)
async def test_erasure_of_a_server_that_is_killed_is_whole_or_not_at_all(example: Organisation) -> None:
    """Killed while it waits for the database, right after the commit, and at some moments between."""
    organisation = with_history(example)
    for moment in ("before", "after", 0.0, 0.001, 0.003, 0.01):
        await filled(organisation)
        held = of_each(organisation)
        async with running(organisation, 1) as (server, alice, _):
            with closing(sqlite3.connect(file_of(organisation), isolation_level=None)) as db:
                if moment == "before":
                    db.execute("BEGIN IMMEDIATE")
                await order(alice)
                if moment == "after":
                    await until(lambda held=held: of_each(organisation) != held)  # type: ignore[misc]
                elif moment == "before":
                    options = await alice.ask(alice.request("OPTIONS", "sip:example.test"))  # the order came before it
                    assert options.status == 200
                elif isinstance(moment, float):
                    await asyncio.sleep(moment)  # a moment of the kill: any is right
                await server.end(signal.SIGKILL)
        left = of_each(organisation)
        erased = held.keys() - left.keys()
        assert left == {owner: number for owner, number in held.items() if owner not in erased}
        assert len(erased) <= 1
        assert (moment, len(erased)) not in {("before", 1), ("after", 0)}
        assert_counts_are_those_of_the_rows(organisation)


@on_loop
async def test_management_that_is_killed_in_an_upload_leaves_the_whole_file_or_none(tmp_path: Path) -> None:
    """Before the first part, after it, and after the commit. A file from before is there still, and another one is taken."""
    async with TicketPage.opened(tmp_path, files={}) as page:
        phone = await DavPhone.set_up(page.network, page.person)
        kept = told(await send(phone, b"whole"))["url"]
        await page.network.stop(MGMT)
        body = upload(b"x" * (3 * PART))
        for octets, stored, counts in ((200, 0, 1), (PART + 1_000, 1, 1), (len(body), 3, 2)):
            async with serving(page.network.organisation, MGMT) as server:
                _, writer = await connected(page.person, phone.base)
                writer.write(head_of(phone, len(body)) + body[:octets])
                await until(lambda: usage(page.network)[0] == 2)
                await until(lambda wanted=(counts, 1 + stored): (whole(tmp_path), parts(tmp_path)) == wanted)  # type: ignore[misc]
                await server.end(signal.SIGKILL)
                writer.transport.abort()
            with closing(sqlite3.connect(tmp_path / "o" / "state" / "files.db")) as db:
                [held] = db.execute("SELECT max(until) FROM sent_files WHERE parts = 0").fetchone()
                assert held is None if counts == 2 else held <= time() + LEASE_S
                db.execute("UPDATE sent_files SET until = 1 WHERE parts = 0")  # as if the lease were over
                db.commit()
            async with serving(page.network.organisation, MGMT):
                assert (await page.person.get(kept)).text == "whole"
                left = 1 + stored if counts == 2 else 1
                await until(lambda wanted=(counts, left): (usage(page.network)[0], parts(tmp_path)) == wanted)  # type: ignore[misc]
                again = told(await send(phone, b"again"))["url"]
                assert (await page.person.get(again)).text == "again"
                assert (await phone.ask("DELETE", again.removeprefix(phone.base))).status == 204
