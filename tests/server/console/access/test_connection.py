"""The places of connections to the console: strangers by their address, operators by their name."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from sipmesh.server.console.access import connection, listener
from support.console import Visitor, management_with_console
from support.managed import MGMT, Managed
from support.running import on_loop

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connected(network: Managed, port: int) -> Streams:
    context = ssl.create_default_context(cafile=str(network.organisation.root))
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=MGMT)


async def silent_from(address: str, port: int) -> Streams:
    """Connect from an *address* of this machine, and send nothing."""
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))


@on_loop
async def test_oldest_connection_of_an_address_beyond_its_limit_is_answered_503(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MOST_OF_ADDRESS", 2)
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as visitor:
        held = [await connected(network, visitor.port) for _ in range(2)]
        assert (await visitor.get("/api/v1/status")).status == 200
        answered = await held[0][0].read()
        assert answered.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in answered
        assert json.loads(answered.partition(b"\r\n\r\n")[2])["error"].startswith("too many connections")
        held[1][1].write(b"GET /login HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % visitor.port)
        assert (await held[1][0].readline()).startswith(b"HTTP/1.1 200 ")
        for _, writer in held:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@on_loop
async def test_no_stranger_takes_a_connection_of_an_operator_at_the_same_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a request has proved who it is. An operator with too many is answered 429, and other operators go on."""
    monkeypatch.setattr(connection, "MOST_OF_ADDRESS", 2)
    monkeypatch.setattr(connection, "MOST_OF_OPERATOR", 1)
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "vera-token") as vera,
        Visitor(network, "vera-token") as more,
        Visitor(network, "otto-token") as otto,
    ):
        assert (await vera.get("/api/v1/status")).status == 200
        held = [await silent_from("127.0.0.1", vera.port) for _ in range(6)]
        assert (await vera.get("/api/v1/status")).status == 200
        refused = await more.get("/api/v1/status")
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        assert (await otto.get("/api/v1/status")).status == 200
        for _, writer in held:
            writer.close()


@on_loop
async def test_no_silent_connection_displaces_a_handshake_that_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silent connections displace each other. An operator at their address connects in the meantime too."""
    monkeypatch.setattr(connection, "MOST_OF_ADDRESS", 2)
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as vera:
        hello = first_octets(network)
        reader, writer = await asyncio.open_connection("127.0.0.1", vera.port)
        writer.write(hello[:100])
        await writer.drain()
        assert (await vera.get("/api/v1/status")).status == 200
        silent = [await silent_from("127.0.0.1", vera.port) for _ in range(6)]
        async with Visitor(network, "otto-token") as otto:
            assert (await otto.get("/api/v1/status")).status == 200
        assert [await first.read() for first, _ in silent[:4]] == [b""] * 4
        writer.write(hello[100:])
        assert (await reader.readexactly(1)) == HANDSHAKE_RECORD
        for held in (writer, *(other for _, other in silent)):
            held.close()


HANDSHAKE_RECORD = b"\x16"  # RFC 8446 5.1


def first_octets(network: Managed) -> bytes:
    """The ClientHello of a browser."""
    context = ssl.create_default_context(cafile=str(network.organisation.root))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=MGMT).do_handshake()
    return outgoing.read()


@on_loop
async def test_closed_connection_does_not_count(tmp_path: Path) -> None:
    """A program with one connection at a time; beyond `HANDSHAKES_A_SECOND` it waits for its turn, and is not refused."""
    async with management_with_console(tmp_path) as network:
        for _ in range(2 * connection.MOST_OF_ADDRESS):
            async with Visitor(network, "vera-token") as program:
                assert (await program.get("/api/v1/versions")).status == 200


@on_loop
async def test_addresses_that_hold_all_connections_make_room_for_an_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few addresses could keep the console from all others: their connections send nothing, and come again when they end."""
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 4)
    monkeypatch.setattr(listener, "HANDSHAKE_S", 60.0)  # no connection ends for another reason
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as visitor:
        held = [
            await silent_from(address, visitor.port) for address in ("127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.3")
        ]
        assert (await visitor.get("/api/v1/status")).status == 200
        assert await held[1][0].read() == b""  # the oldest of those who have most
        assert not any(reader.at_eof() for reader, _ in (held[0], *held[2:]))
        for _, writer in held:
            writer.close()
