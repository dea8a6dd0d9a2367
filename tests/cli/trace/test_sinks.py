"""Where a trace goes: to a collector whose certificate is checked, and to no other."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

from support.managed import MGMT, Managed
from support.network import FE1
from support.running import LOOK_AGAIN_S, on_loop


@on_loop
async def test_collector_that_cannot_be_trusted_gets_nothing(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        host, port = managed.organisation.address(FE1, "client")  # type: ignore[arg-type]
        for given, why in (
            (f"{host}:{port}", "certificate verify failed"),
            ("collector.example.com", "needs a host and a port"),
            (f"{host}:1", "Connection refused"),
        ):
            printed = await managed.type("trace", "bob", "--seconds", "1", "--hep", given, code=1)
            assert why in printed


@on_loop
async def test_collector_over_tls_gets_each_message(managed: Managed, tmp_path: Path) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1)
        alice, _bob = await managed.agent("alice", FE1), await managed.agent("bob", FE1)
        got = bytearray()

        async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while octets := await reader.read(65_536):
                    got.extend(octets)
            writer.close()

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate = self_signed(tmp_path)
        context.load_cert_chain(certificate)
        collector = await asyncio.start_server(collect, "127.0.0.1", 0, ssl=context)
        async with collector:
            port = collector.sockets[0].getsockname()[1]
            address = "--hep", f"127.0.0.1:{port}", "--hep-ca", str(certificate)
            trace = asyncio.create_task(managed.type("trace", "bob", "--seconds", "2", *address))
            while not trace.done():
                await alice.message("bob@example.test", "hello")
                await asyncio.sleep(LOOK_AGAIN_S)
            await trace
        assert got.startswith(b"HEP3")
        assert b"MESSAGE sip:bob@example.test" in got


def self_signed(folder: Path) -> Path:
    """The certificate and the key of a collector at 127.0.0.1, in one file."""
    file = folder / "collector.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=collector", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(file)]
    written = subprocess.run([*made, *names], capture_output=True, timeout=60, check=True).stdout
    file.write_bytes(file.read_bytes() + written)
    return file
