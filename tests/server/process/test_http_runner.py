"""An HTTP server of ours decompresses no body, and writes bounded lines about faulty requests."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.process.http_runner import runner_of
from support.running import on_loop
from support.telling import Told

LARGE = b"x" * 1_000_000


@asynccontextmanager
async def serving(told: Told) -> AsyncIterator[int]:
    """A server that answers with the size of the body, or fails."""

    async def size(request: web.Request) -> web.Response:
        body = await request.read()
        if body == b"fail":
            raise ZeroDivisionError
        return web.Response(text=str(len(body)))

    app = web.Application()
    app.add_routes([web.post("/", size)])
    runner, port = runner_of(app, told.log), free_port()
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


@on_loop
async def test_body_stays_as_small_as_it_was_sent() -> None:
    small = gzip.compress(LARGE)
    async with serving(Told()) as port, aiohttp.ClientSession(f"http://{HOST}:{port}") as session:
        async with session.post("/", data=small, headers={"Content-Encoding": "gzip"}) as answer:
            assert await answer.text() == str(len(small))
        async with session.post("/", data=b"plain") as answer:
            assert await answer.text() == "5"


@on_loop
async def test_many_faults_are_one_line_without_the_request(capfd: pytest.CaptureFixture[str]) -> None:
    told = Told()
    async with serving(told) as port:
        for _ in range(20):
            assert b" 500 " in await first_line(port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfail")
            assert b" 400 " in await first_line(port, b"GET / HTTP/9.9 secret\r\n\r\n")
    [line] = told.events("HTTP request failed")
    assert "secret" not in str(line)
    assert capfd.readouterr().err == ""


async def first_line(port: int, request: bytes) -> bytes:
    """Send octets, and give the first line of the answer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request)
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line
