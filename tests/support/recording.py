"""Servers that make records of calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sipmesh.server.proxy.records.call_recorder import CallRecorder
from sipmesh.server.running.running_server import RunningServer
from sipmesh.storage.call_records.call_record import CallRecord
from sipmesh.storage.call_records.journal import record_in
from sipmesh.storage.call_records.journal_entry import JournalEntry
from support.network import Network


def with_records(network: Network, **keys: object) -> Network:
    """Have the servers of all organisations of *network* make records; before the start."""
    for organisation in network.organisations:
        organisation.document["call_records"] = dict(keys)
        organisation.write()
    return network


def silent_recorder(node: RunningServer) -> CallRecorder:
    """Give the recorder of a server that makes no records, for parts that a test builds itself."""
    recorder = node.relay.calls.records
    assert not recorder.is_on
    return recorder


def made_at(network: Network, server: str) -> list[CallRecord]:
    """Give the records that *server* has made since the last call, before they are written."""
    lines = [entry.line for entry in network.nodes[server].relay.calls.records.buffer.take()]
    return [record for line in lines if (record := record_in(line)) is not None]


def entry(**changes: Any) -> JournalEntry:
    """Make the line of `record`."""
    return record(**changes).entry()


def up_entry(**changes: Any) -> JournalEntry:
    """Make the line of `up`."""
    return up(**changes).entry()


def record(**changes: Any) -> CallRecord:
    """Make the record of a call of ten seconds, with *changes*."""
    began = datetime(2026, 11, 30, 13, 5, tzinfo=UTC)
    call = CallRecord(
        id="fe1.example.test-1-1",
        server="fe1.example.test",
        method="INVITE",
        call_id="c1",
        caller="alice@example.test",
        proof="login",
        withheld=False,
        callee="bob@example.test",
        answered_by="bob@example.test",
        start=began,
        answer=began + timedelta(seconds=2),
        end=began + timedelta(seconds=12),
        seconds=10.0,
        status=200,
        why="ended by BYE",
        code="",
        reference="",
        media="SRTP",
        hops=("fe1.example.test",),
        forwarded="",
    )
    return replace(call, **changes)


def up(**changes: Any) -> CallRecord:
    """Make the record of a call that is up."""
    return record(**{"end": None, "seconds": None, "why": "", **changes})
