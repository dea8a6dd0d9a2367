"""A call over two organisations in a trace: the ladder over all our servers, and the file as Wireshark reads it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from scenarios.test_faults import bed
from sipmesh.demo.organisation import Organisation
from support.managed import Managed
from support.network import EDGE, FE1, PARTNER_EDGES, PARTNER_FE, copied_with_ports, ringing
from support.running import on_loop
from support.tracing import traced

pytestmark = [pytest.mark.peer("tshark"), pytest.mark.wide]

CALLEE = "erin@partner.test"
SHOWN = (
    *(FE1, EDGE, PARTNER_EDGES, "-- INVITE --", "180 Ringing", "200 OK", "-- BYE --"),
    "knows its sender by: login of alice@example.test; the link is accepted",
    "+Record-Route",
)


@pytest.fixture(name="partner")
def _partner(partner_model: Organisation, tmp_path: Path) -> Organisation:
    return copied_with_ports(partner_model, tmp_path / "p")


@on_loop
async def test_call_to_a_partner_is_one_ladder_over_our_servers_and_tshark_reads_its_file(
    managed: Managed, partner: Organisation, tmp_path: Path
) -> None:
    file = tmp_path / "t.pcap"
    async with bed(managed, partner) as here:
        alice = await managed.agent("alice", FE1)
        here.partner.start(PARTNER_FE)
        erin = await here.partner.agent("erin", PARTNER_FE)

        async def call() -> None:
            made = await alice.call(CALLEE)
            came = await ringing(erin)
            await made.answered()
            await made.hang_up()
            await came.over()

        await traced(managed, call, SHOWN, "alice", pcap=file)
    reads(file)


def reads(file: Path) -> None:
    """See that tshark finds the same call on each link, by one Call-ID."""
    fields = [option for name in ("sip.Call-ID", "sip.Method", "sip.Status-Code") for option in ("-e", name)]
    asked = [str(shutil.which("tshark")), "-r", str(file), "-Y", "sip", "-T", "fields", *fields]
    printed = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout
    rows = [row.split("\t") for row in printed.splitlines()]
    of_calls: dict[str, set[str]] = {}
    for call, method, status in rows:
        of_calls.setdefault(call, set()).update((method, status))
    assert any({"INVITE", "180", "200", "ACK", "BYE"} <= seen for seen in of_calls.values()), printed
