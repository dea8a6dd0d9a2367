"""The line of a call is a record that reads back, also where a peer has written its fields to break it."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.records.known_caller import LOGIN
from sipmesh.server.proxy.records.record_maker import RecordMaker
from sipmesh.server.proxy.refused_message import RefusedMessage
from sipmesh.sip.message import Request, build_request, respond
from sipmesh.storage.call_records.call_record import CallRecord
from sipmesh.storage.call_records.journal import record_in
from support.network import FE1, FE2, Network
from support.running import on_loop

ALICE = ("sip:alice@example.test", LOGIN)


def invite(call_id: str = "c1") -> Request:
    """An INVITE to bob."""
    fixed = [
        ("via", "SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1"),
        ("from", "<sip:alice@example.test>;tag=a"),
        ("to", "<sip:bob@example.test>"),
        ("call-id", call_id),
        ("cseq", "1 INVITE"),
    ]
    return build_request("INVITE", "sip:bob@example.test", fixed)


def made(maker: RecordMaker, call_id: str = "c1", status: int = 200, why: str = "") -> CallRecord:
    """Make a line, and read it."""
    request = invite(call_id)
    record = record_in(maker.entry(request, ALICE, respond(request, status), 1_000.0, 1_002.5, "", why, "").line)
    assert record is not None
    return record


@pytest.mark.parametrize("call_id", ['a"}"status":999', "back\\slash", "x" * 256])
@pytest.mark.parametrize("why", ['a","status":999,"x":"', "line\n", "\u2028"])
@on_loop
async def test_no_text_of_a_peer_leaves_its_field(home: Network, call_id: str, why: str) -> None:
    async with home:
        record = made(RecordMaker((FE1, FE1), 0.0, home.nodes[FE1].refusals), call_id, 486, why)
        assert (record.status, record.caller, record.callee) == (486, "alice@example.test", "bob@example.test")
        assert (record.call_id, record.why[:4].isprintable()) == (call_id, True)


@on_loop
async def test_records_have_numbers_of_their_process_and_times(home: Network) -> None:
    async with home:
        maker = RecordMaker((FE1, f"{FE1}.w1"), 1.0, home.nodes[FE1].refusals)
        first, second = made(maker), made(maker, status=404, why="nobody")
        assert (first.id, second.id) == (f"{FE1}.w1-3e8-1", f"{FE1}.w1-3e8-2")
        assert (first.server, first.is_up, second.is_up) == (FE1, True, False)
        assert first.answer is not None
        assert (first.answer - first.start).total_seconds() == 2.5
        assert (second.why, second.end is not None, second.seconds) == ("nobody", True, None)


@pytest.mark.parametrize(("server", "code"), [(FE1, "no-route"), (FE2, "")])
@on_loop
async def test_reference_is_explained_only_for_the_server_that_has_refused(
    home: Network, server: str, code: str
) -> None:
    """Each server counts for itself: two refusals can have one reference."""
    async with home:
        refusals = home.nodes[FE1].refusals
        refusals.newest.append(RefusedMessage("c1", "carol", "INVITE", 404, "no-route", "nobody", "c1-1"))
        warned = (("Warning", f'399 {server} "refused: routing, reference c1-1"'),)
        request = invite()
        line = (
            RecordMaker((FE1, FE1), 0.0, refusals)
            .entry(request, ALICE, respond(request, 404, headers=warned), 1.0, 2.0, "", "", "")
            .line
        )
        record = record_in(line)
        assert record is not None
        assert (record.reference, record.refused_by, record.code) == ("c1-1", server, code)
        assert record.why == ("nobody" if code else "Not Found")
