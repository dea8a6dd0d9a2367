"""A port without TLS: silent connections give way, and an address that is in use is an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from sipmesh.demo.ports import free_port
from sipmesh.server.process import http_port
from sipmesh.server.process.http_port import HttpPort
from support.running import on_loop
from support.telling import Told


async def _here(_request: web.Request) -> web.Response:
    return web.Response(text="here")


@asynccontextmanager
async def opened(port: int) -> AsyncIterator[HttpPort]:
    """A port with one page."""
    app = web.Application()
    app.add_routes([web.get("/", _here)])
    made = HttpPort(app, Told().log)
    try:
        await made.open("127.0.0.1", port)
        yield made
    finally:
        await made.close()


async def first_line(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    line = await reader.readline()
    writer.close()
    return line


@on_loop
async def test_oldest_connections_make_room_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_port, "MOST_CONNECTIONS", 2)
    port = free_port()
    async with opened(port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        assert (await first_line(port)).split()[1] == b"200"
        assert await silent[0][0].read() == b""
        for _, writer in silent:
            writer.close()


@on_loop
async def test_address_that_is_in_use_is_an_error_and_can_be_closed() -> None:
    port = free_port()
    async with opened(port):
        with pytest.raises(OSError, match="address already in use"):
            async with opened(port):
                pass
        assert (await first_line(port)).split()[1] == b"200"
