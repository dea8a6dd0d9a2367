"""Connections to the console: how many there are, and for how long."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.console.access import listener
from support.console import Visitor, management_with_console
from support.full_buffer import LEAST, send_until_full
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
@pytest.mark.wide
async def test_connection_that_sends_nothing_or_half_a_request_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "LAST_REQUEST_S", 0.25)
    monkeypatch.setattr(listener, "LONGEST_S", 0.5)
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as visitor:
        streams = [await connected(network, visitor.port) for _ in range(2)]
        streams[0][1].write(b"GET / HTTP/1.1\r\nHost: x")
        for reader, writer in streams:
            assert await reader.read() == b""
            writer.close()
        assert (await visitor.get("/api/v1/status")).status == 200


async def answered(_request: web.BaseRequest) -> web.Response:
    return web.Response()


def context_of(certificate: Forged, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate.write(folder, MGMT))
    return context


@on_loop
async def test_connection_in_the_backlog_is_served_with_the_certificate_that_was_renewed_meanwhile(
    tmp_path: Path,
) -> None:
    forge, port = Forge(datetime.now(UTC)), free_port()
    issuer = forge.organisation("Example")
    first, second = (forge.server(issuer, MGMT) for _ in range(2))
    server = web.Server(answered)
    opened = listener.ConsoleListener(HOST, port, context_of(first, tmp_path), server, logging.getLogger())
    with socket.create_connection((HOST, port)) as waiting:  # the loop has not run since: nothing has accepted it
        waiting.settimeout(0)  # it does not block
        opened.present(context_of(second, tmp_path))
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(sock=waiting, ssl=trusting, server_hostname=MGMT)
        assert writer.get_extra_info("ssl_object").getpeercert(binary_form=True) == second.certificate.public_bytes(
            Encoding.DER
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
    await opened.close()


@on_loop
async def test_handshakes_of_an_address_wait_for_their_turn_and_those_of_another_do_not() -> None:
    loop, turns = asyncio.get_running_loop(), listener.HandshakeTurns()
    began = loop.time()
    crowd = asyncio.gather(*(turns.turn_of("192.0.2.1") for _ in range(21)))
    await asyncio.sleep(0)
    await turns.turn_of("192.0.2.2")
    assert not crowd.done()
    await crowd
    assert loop.time() - began >= 20 / listener.HANDSHAKES_A_SECOND


@on_loop
async def test_little_of_what_a_connection_sends_waits_to_be_decrypted_in_one_go(tmp_path: Path) -> None:
    """The loop of the server stands still here. Control: a large body arrives."""
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as visitor:
        with socket.create_connection(("127.0.0.1", visitor.port)) as flood:
            flood.setblocking(False)  # noqa: FBT003 - the method has no keyword
            flood.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LEAST)
            assert send_until_full(flood) <= 32_768
        assert (await visitor.ask("POST", "/api/v1/block", json={"name": "x" * 60_000})).status == 400
