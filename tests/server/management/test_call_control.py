"""An operator ends a call, and has a user erased: with a line in the audit log, at the server that has the call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.management.test_network_calls import calls
from sipmesh.errors import SipmeshError
from support.managed import MGMT, Managed, build_published, second_pool
from support.network import EDGE, FE1, FE2, ringing
from support.recording import entry
from support.running import on_loop, until


@pytest.fixture(name="recording")
def _recording(tmp_path: Path) -> Managed:
    """example.test, whose servers make records; nothing runs."""
    return Managed(build_published(tmp_path / "m", second_pool(), call_records={}), tmp_path)


@on_loop
async def test_call_over_two_servers_is_ended_for_both_phones(recording: Managed) -> None:
    async with recording:
        await recording.start(MGMT, FE1, FE2)
        await recording.acknowledged(1)
        alice, bob = await recording.agent("alice", FE1), await recording.agent("bob", FE2)
        made = await alice.call("bob@example.test")
        came = await ringing(bob)
        await made.answered()
        (up,) = await calls(recording, 1, up=True)
        over = await recording.ask(MGMT, "end-network-call", id=up["id"])
        await asyncio.gather(made.over(), came.over())
        assert over["why"].startswith("ended by the operator ")
        assert over["seconds"] is not None
        about = [line.about for line in recording.master.management_db.audit.read() if line.act == "calls"][-1]
        assert (about["ended"], about["caller"], about["callee"]) == (
            up["id"],
            "alice@example.test",
            "bob@example.test",
        )
        assert not recording.nodes[FE1].relay.calls.table
        assert not (await recording.ask(MGMT, "calls", up=True))["records"]
        with pytest.raises(SipmeshError, match="is up; to list the calls that are up"):
            await recording.ask(MGMT, "end-network-call", id=up["id"])


@on_loop
async def test_call_of_a_server_that_is_away_is_not_ended(recording: Managed) -> None:
    async with recording:
        await recording.start(MGMT, FE1, FE2)
        await recording.acknowledged(1)
        alice, _bob = await recording.agent("alice", FE1), await recording.agent("bob", FE2)
        await (await alice.call("bob@example.test")).answered()
        (up,) = await calls(recording, 1, up=True)
        await recording.stop(FE1)
        await until(lambda: FE1 not in recording.master.linked)
        with pytest.raises(SipmeshError, match=f"{FE1} is not linked to management"):
            await recording.ask(MGMT, "end-network-call", id=up["id"])


@on_loop
async def test_user_is_erased_everywhere_and_what_is_not_linked_is_named(recording: Managed) -> None:
    async with recording:
        await recording.start(MGMT, FE1)
        await recording.acknowledged(1)
        recording.nodes[FE1].relay.calls.records.buffer.add(entry(id="a"))
        await calls(recording, 1)
        reply = await recording.ask(MGMT, "erase-calls", user="bob")
        assert (reply["user"], reply["records"]) == ("bob@example.test", 1)
        assert FE1 in reply["told"]
        assert {FE2, EDGE} <= {*reply["missing"], *reply["told"]}
        assert FE2 in reply["missing"]
        (found,) = await calls(recording, 1)
        assert (found["callee"], found["answered_by"], found["caller"]) == (
            "(erased)",
            "(erased)",
            "alice@example.test",
        )
        assert not (await recording.ask(MGMT, "calls", user="bob"))["records"]
        journal = recording.nodes[FE1].records.journal
        await until(lambda: b"bob" not in journal.file(1).read_bytes())
        lines = [line.about for line in recording.master.management_db.audit.read() if line.act == "calls"]
        assert {"erased": "bob@example.test"} in lines


@pytest.mark.parametrize("user", ["", "example.test"])
@on_loop
async def test_domain_is_not_erased(recording: Managed, user: str) -> None:
    async with recording:
        await recording.start(MGMT)
        with pytest.raises(SipmeshError, match="is no user: name the address"):
            await recording.ask(MGMT, "erase-calls", user=user)
