"""The page of a trace and its stream: for whom, and what it shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from server.console.pages.test_verdict_stream import event, streaming
from server.tracing.test_hops import AT_FE1, SENT
from sipmesh.server.tracing.trace_document import documents
from support.console import Visitor, management_with_console
from support.managed import MGMT, Managed
from support.network import FE1, FE2
from support.running import on_loop

STREAM = "/trace/events?refresh=1&id=0123456789&what=alice&bodies="


def audited(network: Managed) -> list[object]:
    return [line.about["bodies"] for line in network.master.management_db.audit.read() if line.act == "trace"]


@on_loop
async def test_page_and_its_stream_need_the_role_too(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network) as viewer,
        Visitor(network) as operator,
    ):
        await viewer.log_in("viewer")
        await operator.log_in("operator")
        assert (await viewer.get("/trace")).status == 200
        assert (await viewer.get("/trace?what=alice")).status == 403
        refused = await viewer.get(STREAM)
        assert (refused.status, refused.text) == (200, "retry: 1000\n\n")
        assert audited(network) == []
        page = await operator.get("/trace?what=alice")
        assert (page.status, "/trace/events?id=" in page.text) == (200, True)
        assert (await operator.get("/trace?what=alice&bodies=1")).status == 403
        assert audited(network) == [False]


@on_loop
async def test_message_is_a_row_of_the_page_and_comes_once(tmp_path: Path) -> None:
    """What a sender writes is text, also where it looks like HTML."""
    async with management_with_console(tmp_path) as network, Visitor(network) as operator:
        await operator.log_in("operator")
        async with streaming(operator, STREAM) as answer:
            while not network.master.traces._traces:
                await answer.content.readline()
            [document] = documents(FE1, "0123456789", [AT_FE1, AT_FE1], 0)
            document["messages"][0]["head"] += "\nSubject: <script>alert(1)</script>"  # type: ignore[index]
            assert network.master.traces.receive(network.nodes[MGMT].view.trusted[FE1], document) == ""
            number, row = await event(answer)
            assert number == 1
            assert "<script>" not in row


@on_loop
async def test_changes_of_a_server_are_shown_also_if_the_next_server_shows_the_message_first(tmp_path: Path) -> None:
    sent = replace(SENT, peer=FE2)
    arrived = replace(sent, server=FE2, peer=FE1, received=True)
    async with management_with_console(tmp_path) as network, Visitor(network) as operator:
        await operator.log_in("operator")
        async with streaming(operator, STREAM) as answer:
            while not network.master.traces._traces:
                await answer.content.readline()
            for server, messages in ((FE2, [arrived]), (FE1, [AT_FE1, sent])):
                [document] = documents(server, "0123456789", messages, 0)
                assert network.master.traces.receive(network.nodes[MGMT].view.trusted[server], document) == ""
            rows = [(await event(answer))[1] for _ in range(3)]
        first, _, again = (row.partition('data-hop="')[2].partition('"')[0] for row in rows)
        assert first == again
        assert "Max-Forwards 70 -&gt; 69" in rows[2]
