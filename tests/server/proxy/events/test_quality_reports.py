"""Phones publish reports of quality, and each call gets those of its own parties."""

from __future__ import annotations

import pytest

from routing.events.test_quality_report import REPORT
from sipmesh.sip.message import Request
from sipmesh.storage.call_records.call_query import CallQuery
from support.network import FE1, FE2, Network
from support.peer import Peer
from support.recording import made_at, with_records
from support.running import on_loop
from support.talking import talking

KIND = "application/vq-rtcpxr"


def report(sender: Peer, call_id: str, kind: str = KIND, body: bytes = REPORT) -> Request:
    """A report of *sender* about a call, to its own address."""
    text = body.replace(b"6dg37f1890463", call_id.encode())
    fields = [("event", "vq-rtcpxr"), ("content-type", kind)]
    return sender.request("PUBLISH", f"sip:{sender.user}", fields, text)


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_call_has_the_figures_of_its_parties_and_of_no_other_user(pool: Network, server: str) -> None:
    """Carol publishes a report about a call of alice and bob: it does not count for their call."""
    async with with_records(pool):
        alice, bob, carol = (
            await pool.phone("alice", FE1),
            await pool.phone("bob", server),
            await pool.phone("carol", FE1),
        )
        invite, _, _ = await talking(alice, bob, call_id="q1")
        assert invite.call_id == "q1"
        await bob.request_in("ACK")
        for sender in (bob, carol):
            answer = await sender.ask(report(sender, "q1"))
            assert (answer.status, answer.first("expires")) == (200, "0")
        records = [record for name in (FE1, FE2) for record in made_at(pool, name)]
        (call,), _ = CallQuery(call="q1").page(records)
        assert call.quality == "bob@example.test: MOSLQ=4.2 MOSCQ=4.3 NLR=5.0 JDR=2.0 IAJ=2 RTD=200 PD=G729"
        assert len([record for record in records if record.method == "PUBLISH"]) == 2


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [("text/plain", REPORT, 415), (KIND, b"hello", 400), (KIND, REPORT.ljust(17_000, b"x"), 413)],
    ids=["type", "text", "large"],
)
@on_loop
async def test_what_is_no_report_is_refused(home: Network, kind: str, body: bytes, status: int) -> None:
    async with with_records(home):
        alice = await home.phone("alice", FE1)
        assert (await alice.ask(report(alice, "q1", kind=kind, body=body))).status == status
        assert not made_at(home, FE1)


@on_loop
async def test_client_without_a_login_reports_nothing(home: Network) -> None:
    async with with_records(home):
        stranger = await home.peer(FE1, "alice")
        assert (await stranger.ask(report(stranger, "q1"))).status in {401, 403, 407}
        assert not made_at(home, FE1)


@on_loop
async def test_without_records_there_is_no_such_package(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        assert (await alice.ask(report(alice, "q1"))).status == 489
