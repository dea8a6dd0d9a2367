"""Stored messages and the faults of machines: kill -9 at any instant, a full disk, and a database that servers share."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.running.running_server import RunningServer
from sipmesh.trust.evidence import LinkKind
from support.checkout import DOCS
from support.full_disk import small_disk
from support.network import FE1, FE2, Network, copied
from support.peer import HungUpError, Peer
from support.postgres import Cluster
from support.process import serving, spawn
from support.running import LOOK_AGAIN_S, on_loop, until, within

BOB = "sip:bob@example.test"
TEXT = ("content-type", "text/plain")
INSTANTS = 40
STEP_S = 0.004
"""Seconds between two of the instants at which the server is killed."""
A_ROW = 8
"""Instants in one row of the table."""

PAGE = DOCS / "reliability.md"
FIRST, LAST = "<!-- forty instants: tests/scenarios/test_stored_messages.py -->", "<!-- end of forty instants -->"
HEAD = """\
| killed so long after the first 202 | kills | messages answered 202 or 200 | lost | delivered again |
| --- | --- | --- | --- | --- |"""
WRITES = "SIPMESH_WRITE_PAGES"
"""A variable of the environment: with it, the tests write what they have seen into the page."""


async def say(peer: Peer, text: str) -> int:
    return (await peer.ask(peer.request("MESSAGE", BOB, [TEXT], text.encode()))).status


async def opened(organisation: Organisation, user: str) -> Peer:
    """A phone of *user* that registers at the first server, which is a process and may die."""
    peer = await Peer.open(organisation.address(FE1, LinkKind.CLIENT), f"{user}@example.test")
    with suppress(HungUpError, ConnectionError):
        assert (await peer.register()).status == 200
    return peer


async def take(phone: Peer) -> str:
    came = await phone.request_in("MESSAGE")
    await phone.reply(came, 200)
    return came.body.decode()


@on_loop
async def test_message_that_was_accepted_survives_the_death_of_the_server(example: Organisation) -> None:
    async with serving(example, FE1) as server:
        alice = await opened(example, "alice")
        assert await say(alice, "hello") == 202
        await server.end(signal.SIGKILL)
        await alice.__aexit__()
    async with serving(example, FE1):
        bob = await opened(example, "bob")
        assert await take(bob) == "hello"
        await bob.__aexit__()


def has_grown(texts: list[str], before: int) -> bool:
    return len(texts) > before


@dataclass
class Run:
    """What was written and read at forty lives of a server, each of which ends by a kill. Texts begin with their life."""

    accepted: list[str] = field(default_factory=list)
    received: dict[str, list[str]] = field(default_factory=dict)  # the Call-IDs of each text, once for each delivery

    async def write(self, example: Organisation, life: int) -> None:
        """Alice writes until the server dies."""
        async with await opened(example, "alice") as alice:
            with suppress(HungUpError, ConnectionError):
                for count in range(1000):
                    text = f"{life}-{count}"
                    if await say(alice, text) in {200, 202}:
                        self.accepted.append(text)

    async def read(self, example: Organisation) -> None:
        """Bob reads until the server dies."""
        async with await opened(example, "bob") as bob:
            with suppress(HungUpError, ConnectionError):
                while True:
                    came = await bob.request_in("MESSAGE")
                    self.received.setdefault(came.body.decode(), []).append(came.call_id)
                    await bob.reply(came, 200)

    def rows(self) -> list[str]:
        """Write the table: a row for eight instants."""
        return [self._row(range(first, first + A_ROW)) for first in range(0, INSTANTS, A_ROW)]

    def _row(self, lives: range) -> str:
        mine = [text for text in self.accepted if int(text.partition("-")[0]) in lives]
        twice = sum(len(self.received.get(text, ())) > 1 for text in mine)
        lost = sum(text not in self.received for text in mine)
        first, last = (round(1000 * STEP_S * life) for life in (lives[0], lives[-1]))
        return f"| {first} to {last} ms | {len(lives)} | {len(mine)} | {lost} | {twice} |"


def keep(rows: list[str]) -> None:
    """Print the table; with `WRITES` in the environment, write it into the page, with today's date (UTC)."""
    table = "\n".join([f"Seen on {datetime.now(UTC):%Y-%m-%d}:", "", HEAD, *rows])
    print(table)  # noqa: T201 - `make soak` shows it with -s
    if WRITES in os.environ:
        before, _, rest = PAGE.read_text().partition(FIRST)
        PAGE.write_text(f"{before}{FIRST}\n\n{table}\n\n{LAST}{rest.partition(LAST)[2]}")


@pytest.mark.soak
@within(600.0)
async def test_no_accepted_message_is_lost_by_kills_at_forty_instants(example: Organisation) -> None:
    """While alice writes and, at every other instant, bob reads. What bob reads twice has the same Call-ID."""
    example.document["messages"] = {"per_user": 10_000, "per_sender": 10_000}
    example.write()
    run = Run()
    for life in range(INSTANTS):
        process = await spawn(example, FE1)
        await process.ready()
        before = len(run.accepted)
        work = [asyncio.create_task(run.write(example, life))]
        if life % 2:
            work.append(asyncio.create_task(run.read(example)))
        await until(partial(has_grown, run.accepted, before))
        await asyncio.sleep(STEP_S * life)
        await process.end(signal.SIGKILL)
        await asyncio.gather(*work)
    async with serving(example, FE1):
        reading = asyncio.create_task(run.read(example))
        await until(lambda: set(run.accepted) <= set(run.received))
        reading.cancel()
    keep(run.rows())
    assert len(run.accepted) > INSTANTS
    assert all(len(set(call_ids)) == 1 for call_ids in run.received.values())


def test_page_has_the_table_of_the_forty_instants() -> None:
    table = PAGE.read_text().partition(FIRST)[2].partition(LAST)[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if " ms |" in line]
    assert sum(int(row[1]) for row in rows) == INSTANTS
    assert {int(row[3]) for row in rows} == {0}


@on_loop
async def test_full_disk_gives_no_202_until_there_is_room(example: Organisation, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        network = Network((copied(example, disk.folder / "e"),), starts=(FE1,))
        async with network:
            alice = await network.phone("alice", FE1)
            assert await say(alice, "before") == 202
            disk.fill()
            refused = 0
            while await say(alice, "x" * 60_000) == 202:  # the file may have some room left inside
                refused += 1
                assert refused < 50
            assert network.told[FE1].last("messages cannot be stored")
            disk.empty()
            assert await say(alice, "after") == 202
            bob = await network.phone("bob", FE1)
            texts = [await take(bob)]
            while texts[-1] != "after":
                texts.append(await take(bob))
            assert texts[0] == "before"


async def sweeps(node: RunningServer) -> None:
    """Let a server look for messages again and again, as its timer does: the other one may have the lease at first."""
    while True:
        node.events.sweep()
        await asyncio.sleep(LOOK_AGAIN_S)


@pytest.mark.peer("postgresql")
@on_loop
async def test_servers_on_two_machines_share_a_database(
    example: Organisation, tmp_path: Path, postgres_url: str
) -> None:
    """Each has a folder of its own; only the database of the messages is one."""
    example.document["storage"] = {"messages": Cluster.public(postgres_url)}
    example.write()
    async with Network((example,), starts=(FE1,)) as one:
        other = Organisation(
            tmp_path / "other", example.domain, example.host, example.ports, example.document, example.issued_at
        )
        copied(example, other.folder)
        other.write()
        async with Network((other,), starts=(FE2,)) as two:
            alice = await one.phone("alice", FE1)
            assert [await say(alice, text) for text in ("1", "2")] == [202, 202]
            bob = await two.phone("bob", FE2)
            looks = asyncio.create_task(sweeps(two.nodes[FE2]))
            assert [await take(bob), await take(bob)] == ["1", "2"]
            looks.cancel()
