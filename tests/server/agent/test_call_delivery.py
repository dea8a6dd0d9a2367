"""How a server delivers its records, and which records of others it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.server.replication.call_document import CallDocument
from support.managed import MGMT, Managed, build_published, second_pool
from support.network import EDGE, FE1
from support.recording import entry, record
from support.running import on_loop, until


@pytest.fixture(name="recording")
def _recording(tmp_path: Path) -> Managed:
    """example.test, whose servers make records; nothing runs."""
    return Managed(build_published(tmp_path / "m", second_pool(), call_records={}), tmp_path)


@pytest.mark.wide
@on_loop
async def test_edge_keeps_its_records_until_a_front_end_has_them_on_its_disk(recording: Managed) -> None:
    async with recording:
        await recording.start(EDGE)
        recording.nodes[EDGE].relay.calls.records.buffer.add(entry(id="e", server=EDGE))
        await until(lambda: recording.nodes[EDGE].records.written)
        await recording.start(FE1)
        await until(lambda: recording.nodes[FE1].records.written)
        assert [one.id for one in recording.nodes[FE1].records.journal.everything()] == ["e"]


@on_loop
async def test_front_end_takes_no_records_of_itself_from_an_edge(recording: Managed) -> None:
    async with recording:
        await recording.start(EDGE, MGMT, FE1)
        await recording.acknowledged(1, FE1, EDGE)
        answers: list[int] = []
        for server in (FE1, EDGE):
            document = CallDocument(EDGE, [record(id=server, server=server)]).to_json()
            assert recording.member(EDGE).calls._publish(document, answers.append)
        await until(lambda: len(answers) == 2)
        assert sorted(answers) == [200, 403]
        assert [one.server for one in recording.nodes[FE1].records.journal.everything()] == [EDGE]
