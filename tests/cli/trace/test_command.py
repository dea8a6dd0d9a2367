"""`sipmesh trace` as an operator types it, while users talk; its file is read by tshark."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from support.managed import MGMT, Managed
from support.network import FE1
from support.running import on_loop
from support.tracing import traced


@pytest.mark.peer("tshark")
@pytest.mark.wide
@on_loop
async def test_what_passes_is_printed_as_it_passes(managed: Managed, tmp_path: Path) -> None:
    """The file and JSON have the same messages."""
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1)
        alice, _bob = await managed.agent("alice", FE1), await managed.agent("bob", FE1)
        file = tmp_path / "t.pcap"

        async def talk() -> None:
            await alice.message("bob@example.test", "hello")

        wanted = (
            "-- MESSAGE --",
            "knows its sender by: login of alice@example.test; the link is accepted",
            "not linked to management",  # the servers that were not started
        )
        await traced(managed, talk, wanted, "bob", pcap=file)
        as_json = await traced(managed, talk, ['"server"'], "bob", "--json")
        lines = [json.loads(line) for line in as_json.splitlines() if line.startswith("{")]
        assert {line["server"] for line in lines} == {FE1}
        read_by_tshark(file)
        assert "exists; name a new file" in await managed.type("trace", "bob", "--pcap", str(file), code=1)


def read_by_tshark(file: Path) -> None:
    """Compare the methods and statuses with what Wireshark finds."""
    asked = [
        str(shutil.which("tshark")),
        "-r",
        str(file),
        "-Y",
        "sip",
        "-T",
        "fields",
        "-e",
        "sip.Method",
        "-e",
        "sip.Status-Code",
    ]
    found = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert {"MESSAGE", "200"} <= set(found)


@pytest.mark.parametrize("what", ["", "a" * 300])
@on_loop
async def test_trace_of_nothing_is_refused(managed: Managed, what: str) -> None:
    async with managed:
        await managed.start(MGMT)
        assert "a trace needs a user" in await managed.type("trace", what, "--seconds", "1", code=1)
