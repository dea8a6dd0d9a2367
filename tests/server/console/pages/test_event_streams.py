"""Streams of pages: for whom there is one, how many, and how long each lasts."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from server.console.pages.test_verdict_stream import STREAM, streaming
from sipmesh.server.console.pages import event_streams
from sipmesh.server.console.pages.event_streams import MOST_OF_SESSION
from sipmesh.server.console.pages.verdict_stream import EVENTS
from support.console import Visitor, management_with_console
from support.running import on_loop


@on_loop
async def test_only_a_session_gets_the_stream(tmp_path: Path) -> None:
    """Neither does a request that would keep the session from ending, or one of another site."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network) as stranger,
        Visitor(network, "sona-token") as program,
        Visitor(network) as viewer,
    ):
        await viewer.log_in("viewer")
        for visitor in (stranger, program):
            async with streaming(visitor) as answer:
                assert answer.status == 403
        async with streaming(viewer, f"{EVENTS}?since=0") as answer:
            assert answer.status == 403
        async with streaming(viewer, STREAM, **{"Sec-Fetch-Site": "cross-site"}) as answer:
            assert answer.status == 403
        async with streaming(viewer) as answer:
            assert answer.status == 200


@on_loop
@pytest.mark.wide
async def test_session_has_a_bounded_number_of_streams(tmp_path: Path) -> None:
    """A stream that ends makes room for another one."""
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        async with AsyncExitStack() as stack:
            for _ in range(MOST_OF_SESSION):
                assert (await stack.enter_async_context(streaming(viewer))).status == 200
            async with streaming(viewer) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
            await viewer.post("/logout")
        await viewer.log_in("viewer")
        async with streaming(viewer) as answer:
            assert answer.status == 200


@on_loop
async def test_stream_ends_before_its_connection_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_streams, "LONGEST_STREAM_S", 0.1)
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        async with streaming(viewer) as answer:
            assert await answer.content.read() == b"retry: 1000\n\n"


def test_each_line_of_a_row_is_a_line_of_the_event() -> None:
    assert event_streams._data("a\r\nb\nc\rd") == "data: a\ndata: b\ndata: c\ndata: d"
