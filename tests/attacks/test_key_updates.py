"""KeyUpdates without end: OpenSSL reads on as long as more of them are there, and so the whole server would stand still."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sipmesh.transport.tls.pyopenssl import MOST_AFTER_HANDSHAKE
from sipmesh.trust.evidence import LinkKind
from support.key_updates import RecordWriter
from support.network import FE1, Network
from support.running import on_loop

OPTIONS = (
    b"OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/TLS x.invalid;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@x.invalid>;tag=1\r\nTo: <sip:example.test>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


async def after(network: Network, folder: Path, updates: int) -> bytes:
    """What a stranger gets for an OPTIONS that follows so many KeyUpdates; empty where the server ends the link."""
    reader, writer = await asyncio.open_connection(*network.address(FE1, LinkKind.CLIENT))
    client = RecordWriter(folder)
    octets = b""
    while not client.is_up:
        writer.write(client.shake_hands(octets))
        octets = b"" if client.is_up else await reader.read(1 << 16)
    writer.write(client.key_updates(updates) + client.data(OPTIONS))
    got = b""
    try:
        while not got and (octets := await reader.read(1 << 16)):
            got = client.read(octets)
    except ConnectionError:
        got = b""
    writer.transport.abort()
    return got


@pytest.mark.parametrize(
    ("updates", "status"), [(MOST_AFTER_HANDSHAKE // 4, b"SIP/2.0 200 "), (2 * MOST_AFTER_HANDSHAKE, b"")]
)
@on_loop
async def test_link_with_too_many_key_updates_ends(home: Network, tmp_path: Path, updates: int, status: bytes) -> None:
    """What the stranger sends behind them is not looked at. Others are served."""
    async with home:
        alice = await home.phone("alice", FE1)
        assert (await after(home, tmp_path, updates))[:12] == status
        await alice.silent()
