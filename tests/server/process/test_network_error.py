"""Each error of a connection has words of ours: no class and no sentence of a library."""

from __future__ import annotations

import asyncio
import socket
import ssl

import aiohttp
import pytest

from sipmesh.demo.ports import free_port
from sipmesh.server.process.network_error import told_network_error
from support.running import on_loop


async def told(url: str) -> str:
    async with aiohttp.ClientSession() as session:
        with pytest.raises((aiohttp.ClientError, OSError)) as raised:
            await session.get(url)
    return told_network_error(raised.value)


async def answering(octets: bytes) -> tuple[asyncio.Server, int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(octets)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@on_loop
async def test_each_failure_of_a_real_connection_is_one_clause() -> None:
    assert await told(f"http://127.0.0.1:{free_port()}/") == "cannot be reached: Connection refused"
    assert await told("http://nothing.invalid/") == "cannot be reached: its name has no address"
    for octets, wanted in (
        (b"", "has closed the connection without an answer"),
        (b"no HTTP at all\r\n\r\n", "has sent an answer that cannot be read"),
    ):
        server, port = await answering(octets)
        async with server:
            assert await told(f"http://127.0.0.1:{port}/") == wanted


def test_errors_without_a_connection_have_words_too() -> None:
    for wrong, wanted in (
        (OSError("<foreign>"), "cannot be reached"),
        (TimeoutError("<foreign>"), "cannot be reached: it does not answer in time"),
        (socket.gaierror(-2, "<foreign>"), "cannot be reached: its name has no address"),
        (ssl.SSLError(1, "<foreign>"), "has no TLS connection that can be trusted"),
        (EOFError("<foreign>"), "has closed the connection in the middle of its answer"),
        (ValueError("<foreign>"), "has sent an answer that cannot be read"),
    ):
        assert told_network_error(wrong) == wanted
