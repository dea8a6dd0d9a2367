"""Records of all servers at management: delivered, stored, asked for, sent on, each read in the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipmesh.errors import SipmeshError
from sipmesh.server.replication.call_document import CallDocument
from support.managed import MGMT, Managed, build_published, second_pool
from support.network import EDGE, FE1, FE2
from support.recording import entry, record
from support.running import LOOK_AGAIN_S, on_loop, until


@pytest.fixture(name="recording")
def _recording(tmp_path: Path) -> Managed:
    """example.test, whose servers make records; nothing runs."""
    return Managed(build_published(tmp_path / "m", second_pool(), call_records={"days": 3}), tmp_path)


async def calls(network: Managed, wanted: int, **given: Any) -> list[dict[str, Any]]:
    """Ask management until it has as many records as are wanted."""
    while len(found := (await network.ask(MGMT, "calls", **given))["records"]) < wanted:
        await asyncio.sleep(LOOK_AGAIN_S)
    return list(found)


@on_loop
async def test_call_is_found_at_management_by_either_party(recording: Managed) -> None:
    async with recording:
        await recording.start(MGMT, FE1, FE2)
        await recording.acknowledged(1)
        alice, _bob = await recording.agent("alice", FE1), await recording.agent("bob", FE2)
        call = await alice.call("bob@example.test")
        await call.answered()
        (up,) = await calls(recording, 1, up=True)
        assert (up["caller"], up["callee"], up["end"]) == ("alice@example.test", "bob@example.test", None)
        await call.hang_up()
        await until_ended(recording, up["id"])
        for user in ("alice", "bob", "bob@example.test", "example.test"):
            (found,) = await calls(recording, 1, user=user)
            assert (found["id"], found["why"], found["server"]) == (up["id"], "ended by BYE", FE1)
        assert not (await recording.ask(MGMT, "calls", user="carol"))["records"]


async def until_ended(network: Managed, call: str) -> None:
    """Wait until management knows the end of a call."""
    while (await network.ask(MGMT, "calls", call=call))["records"][0]["end"] is None:
        await asyncio.sleep(LOOK_AGAIN_S)


@on_loop
async def test_each_read_has_a_line_in_the_audit_log(recording: Managed) -> None:
    async with recording:
        await recording.start(MGMT)
        await recording.ask(MGMT, "calls", user="bob", since="2026-11-30T00:00:00+00:00")
        lines = [line for line in recording.master.management_db.audit.read() if line.act == "calls"]
        assert [(line.about["user"], line.about["found"], line.about["since"]) for line in lines] == [
            ("bob", 0, "2026-11-30T00:00:00+00:00")
        ]
        assert lines[0].who


@pytest.mark.parametrize("asked", [{"most": 0}, {"most": 501}, {"since": "yesterday"}, {"only": "BYE"}], ids=str)
@on_loop
async def test_question_that_cannot_be_read_is_refused_and_reads_nothing(
    recording: Managed, asked: dict[str, Any]
) -> None:
    async with recording:
        await recording.start(MGMT)
        with pytest.raises(SipmeshError, match="this question about calls cannot be read"):
            await recording.ask(MGMT, "calls", **asked)
        assert not [line for line in recording.master.management_db.audit.read() if line.act == "calls"]


@on_loop
async def test_network_without_records_says_how_to_make_them(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT)
        with pytest.raises(SipmeshError, match="no records of calls are made"):
            await managed.ask(MGMT, "calls")


@on_loop
async def test_records_of_an_edge_come_through_a_front_end(recording: Managed) -> None:
    async with recording:
        await recording.start(EDGE, MGMT, FE1)
        await recording.acknowledged(1)
        recording.nodes[EDGE].relay.calls.records.buffer.add(entry(id="e", server=EDGE))
        (found,) = await calls(recording, 1)
        assert (found["id"], found["server"]) == ("e", EDGE)
        assert "e" in [one.id for one in recording.nodes[FE1].records.journal.everything()]


@on_loop
async def test_server_delivers_no_records_of_another_pool(recording: Managed) -> None:
    """A thief of fe1 writes what he likes about fe1, and nothing about fe2."""
    async with recording:
        await recording.start(MGMT, FE1, FE2)
        await recording.acknowledged(1)
        answers: list[int] = []
        for server in (FE2, FE1):
            document = CallDocument(FE1, [record(id=server, server=server)]).to_json()
            assert recording.member(FE1).calls._publish(document, answers.append)
        await until(lambda: len(answers) == 2)
        assert sorted(answers) == [200, 403]
        assert [one["id"] for one in await calls(recording, 1)] == [FE1]


@on_loop
async def test_records_wait_at_the_servers_while_management_is_away(recording: Managed) -> None:
    async with recording:
        await recording.start(MGMT, FE1)
        await recording.acknowledged(1)
        await recording.stop(MGMT)
        recording.nodes[FE1].relay.calls.records.buffer.add(entry(id="a"))
        await until(lambda: recording.nodes[FE1].records.written)
        await recording.start(MGMT)
        assert [one["id"] for one in await calls(recording, 1)] == ["a"]


@contextmanager
def without(file: Path) -> Iterator[None]:
    """Put a folder in place of the database."""
    file.mkdir(parents=True)
    try:
        yield
    finally:
        file.rmdir()


@pytest.mark.wide
@on_loop
async def test_records_wait_at_the_servers_while_the_database_is_away(recording: Managed) -> None:
    async with recording:
        with without(recording.folder(MGMT) / "state" / "calls.db"):
            await recording.start(MGMT, FE1)
            recording.nodes[FE1].relay.calls.records.buffer.add(entry(id="a"))
            await until(lambda: recording.master.calls.store_fault)
            (fault,) = recording.master.own_faults.of_databases().values()
            assert fault.remedy.endswith("; the servers keep the records, and deliver them by themselves")
        assert [one["id"] for one in await calls(recording, 1)] == ["a"]
        assert not recording.master.own_faults.of_databases()


@on_loop
async def test_old_records_are_removed(recording: Managed) -> None:
    async with recording:
        await recording.start(MGMT, FE1)
        await recording.acknowledged(1)
        for made in (
            record(id="now", start=datetime.now(UTC)),
            record(id="old", start=record().start.replace(year=2020)),
        ):
            recording.nodes[FE1].relay.calls.records.buffer.add(made.entry())
        await calls(recording, 2)
        recording.master.calls.remove_old()
        while [one["id"] for one in await calls(recording, 1)] != ["now"]:
            await asyncio.sleep(LOOK_AGAIN_S)


@on_loop
async def test_refusal_of_any_server_is_found_by_its_reference(recording: Managed) -> None:
    """The answer names the servers of which records may be missing; the audit log says what was asked for."""
    async with recording:
        await recording.start(MGMT, FE1)
        await recording.acknowledged(1, FE1)
        alice = await recording.agent("alice", FE1)
        refused = await alice.message("bob@elsewhere.test", "hello")
        reference = refused.warnings[0].rpartition("reference ")[2].strip('"')
        (found,) = await calls(recording, 1, call=reference.upper())
        assert (found["reference"], found["refused_by"], found["code"]) == (reference, FE1, "no-route")
        assert (await recording.ask(MGMT, "calls", call=reference))[
            "missing"
        ] == recording.master.network.without_records()
        assert FE2 in recording.master.network.without_records()
        assert FE1 not in recording.master.network.without_records()
        assert not (await recording.ask(MGMT, "calls", call=f"{reference}0"))["records"]
        lines = [line for line in recording.master.management_db.audit.read() if line.act == "calls"]
        assert lines[-1].about["call"] == f"{reference}0"
