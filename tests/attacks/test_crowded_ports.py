"""One address that opens connections without end keeps no other address out of a port that anyone may reach."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import josepy.jwk
import pytest
from acme import challenges

from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.process.http_port import MOST_CONNECTIONS
from sipmesh.server.public_certificates.acme_account import AcmeAccount
from sipmesh.server.public_certificates.alpn_challenges import MOST_HANDSHAKES, PROTOCOL, AlpnChallenges, TlsAlpn01
from sipmesh.server.public_certificates.http_challenges import HttpChallenges
from support.running import on_loop
from support.telling import Told

NAME: Final = "fe1.example.test"
ATTACKER: Final = "127.0.0.2"
MANY: Final = 2 * max(MOST_CONNECTIONS, MOST_HANDSHAKES)


@asynccontextmanager
async def crowd(port: int, count: int) -> AsyncIterator[None]:
    """Connect *count* times from another address, and wait until the port has accepted all."""
    held = [await asyncio.open_connection(HOST, port, local_addr=(ATTACKER, 0)) for _ in range(count)]
    try:
        if count:
            await asyncio.wait({asyncio.ensure_future(reader.read(1)) for reader, _ in held[: count // 4]})
        yield
    finally:
        for _, writer in held:
            writer.transport.abort()


def key_in(folder: Path) -> josepy.jwk.JWK:
    return AcmeAccount.at(folder / "account.json", "https://ca.test/dir").jwk


@pytest.mark.parametrize("count", [0, MANY])
@on_loop
async def test_ca_whose_handshake_is_under_way_is_answered(tmp_path: Path, count: int) -> None:
    """The way from a CA takes its time. The control has no attacker."""
    port, context = free_port(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([PROTOCOL])
    async with AlpnChallenges(HOST, port) as solver:
        solver.publish(NAME, TlsAlpn01(token=secrets.token_bytes(16)), key_in(tmp_path))
        with socket.create_connection((HOST, port)) as ca:
            ca.setblocking(False)  # noqa: FBT003 - the method has no keyword
            async with crowd(port, count):
                _, writer = await asyncio.open_connection(sock=ca, ssl=context, server_hostname=NAME)
                assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == PROTOCOL
                writer.transport.abort()


@pytest.mark.parametrize("count", [0, MANY])
@on_loop
async def test_ca_whose_request_is_under_way_is_answered(tmp_path: Path, count: int) -> None:
    """The same for http-01. The ports of CRLs and of metrics are made by the same class."""
    port, key, challenge = free_port(), key_in(tmp_path), challenges.HTTP01(token=secrets.token_bytes(16))
    async with HttpChallenges(HOST, port, Told().log) as solver:
        solver.publish(NAME, challenge, key)
        reader, writer = await asyncio.open_connection(HOST, port)
        async with crowd(port, count):
            writer.write(f"GET {challenge.path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
            assert challenge.key_authorization(key).encode() in await reader.read()
        writer.close()
