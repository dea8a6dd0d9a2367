"""The stream of verdicts over HTTPS: what it brings, to whom, how much of it, and when it ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from sipmesh.server.console import verdict_feed
from sipmesh.server.console.access.guard import HEADERS
from sipmesh.server.console.pages.verdict_stream import EVENTS
from sipmesh.trust.evidence import LinkKind
from support.console import Visitor, management_with_console
from support.managed import MGMT, Managed
from support.running import on_loop

STREAM = f"{EVENTS}?since=0&refresh=1"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_feed, "LOOK_EVERY_S", 0.05)


@asynccontextmanager
async def streaming(visitor: Visitor, path: str = STREAM, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    async with visitor.session.get(path, server_hostname=MGMT, allow_redirects=False, headers=headers) as answer:
        yield answer


async def be_refused(network: Managed) -> None:
    """Speak plain HTTP to a port for servers, as an impostor would."""
    reader, writer = await asyncio.open_connection(*network.organisation.address(MGMT, LinkKind.SERVER))
    writer.write(b"OPTIONS sip:example.test SIP/2.0\r\n\r\n")
    assert await reader.read() == b""
    writer.close()


async def event(answer: aiohttp.ClientResponse) -> tuple[int, str]:
    """Return the number and the data of the next event; data "" if the stream has ended."""
    number, data = 0, ""
    async for line in answer.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "id":
            number = int(value)
        if name == "data":
            data = value
        if not name and data:
            break
    return number, data


@on_loop
@pytest.mark.wide
async def test_refusal_comes_as_a_row_of_the_page_and_once(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        page = (await viewer.get("/verdicts")).text
        assert f'data-events="{EVENTS}?since=0&amp;refresh=1"' in page
        async with streaming(viewer) as answer:
            assert (answer.status, answer.content_type) == (200, "text/event-stream")
            assert HEADERS.items() <= dict(answer.headers).items()
            await be_refused(network)
            number, row = await event(answer)
            assert (number, "not-tls" in row, row.startswith("<tr>")) == (1, True, True), row
            await be_refused(network)
            assert (await event(answer))[0] == 2
        page = (await viewer.get("/verdicts")).text
        assert row in page
        assert re.search(r'data-events="[^"]*since=2&', page)
        async with streaming(viewer, STREAM, **{"Last-Event-ID": "1"}) as answer:
            assert (await event(answer))[0] == 2  # what was missed while the browser was away


@on_loop
@pytest.mark.wide
async def test_stream_ends_when_the_operator_logs_out(tmp_path: Path) -> None:
    """The stream of another session goes on."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network) as vera,
        Visitor(network) as otto,
    ):
        await vera.log_in("viewer")
        await otto.log_in("operator")
        async with streaming(vera) as ended, streaming(otto) as going_on:
            assert (ended.status, going_on.status) == (200, 200)
            assert (await vera.post("/logout")).status == 303
            assert await event(ended) == (0, "")
            await be_refused(network)
            assert (await event(going_on))[0] == 1
        assert (await vera.get(STREAM)).status == 403
