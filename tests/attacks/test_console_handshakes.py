"""Handshakes at the console with certificates that are huge, costly, or of a stranger, and what a finished one leaves behind."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attacks.test_costly_keys import damaged
from sipmesh.demo.forge import Forge, Forged, Wish
from sipmesh.demo.ports import HOST
from support.console import Visitor, management_with_console, operator_credentials
from support.managed import Credentials, Managed
from support.mersenne_keys import LONG_EXPONENT, TOO_LARGE
from support.running import on_loop

API = "/api/v1/status"
CROWD = 12
"""Fewer than the connections that one address may have."""


def strangers(network: Managed, folder: Path) -> list[Credentials]:
    """Certificates of people who know the root of the organisation, which is public."""
    forge = Forge(datetime.now(UTC))
    own = network.organisation.folder / "ca"
    root = Forged.read(own / "root.pem", own / "root.key")
    above = root
    for n in range(60):
        made = forge.forge(Wish(f"CA {n}", ca=True, usages=()), above, reuse=LONG_EXPONENT)
        above = replace(made, certificate=damaged(made.certificate), issuer=above)
    chain = forge.forge(Wish("deep"), above)
    many = forge.forge(Wish("many", dns=tuple(f"name{n}.example.test" for n in range(3_000))))
    large = forge.forge(Wish("large"), reuse=TOO_LARGE)
    return [one.write(folder, f"stranger{n}") for n, one in enumerate((chain, many, large))]


def port_of(network: Managed) -> int:
    """The port of the console."""
    console: Any = network.organisation.document["console"]
    return int(console["listen"].rpartition(":")[2])


async def answered(network: Managed, credentials: Credentials) -> bytes:
    """Ask for a page with a certificate; returns what came back, nothing if the connection was refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*credentials)
    try:
        reader, writer = await asyncio.open_connection(HOST, port_of(network), ssl=context)
    except OSError:
        return b""
    writer.write(f"GET {API} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    try:
        return await reader.read(65_536)
    except OSError:
        return b""
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@on_loop
async def test_stranger_with_huge_or_costly_certificates_is_refused_and_an_operator_is_served_meanwhile(
    tmp_path: Path,
) -> None:
    async with management_with_console(tmp_path, client_certificates=True) as network:
        shown = strangers(network, tmp_path)
        async with Visitor(network, credentials=operator_credentials(network, "otto", tmp_path)) as otto:
            crowd = [asyncio.create_task(answered(network, shown[n % len(shown)])) for n in range(CROWD)]
            assert (await otto.ask("POST", "/login/certificate")).status == 303
            assert (await otto.get(API)).status == 200
            assert set(await asyncio.gather(*crowd)) == {b""}


@pytest.mark.parametrize("asks", [False, True], ids=["no certificates", "certificates"])
@on_loop
async def test_handshake_with_the_console_leaves_nothing_to_resume(tmp_path: Path, *, asks: bool) -> None:
    """No ticket comes, so there is nothing that could outlive a revocation, and no early data."""
    async with management_with_console(tmp_path, client_certificates=asks) as network:
        command = ["openssl", "s_client", "-connect", f"{HOST}:{port_of(network)}", "-reconnect", "-ign_eof"]
        said = f"GET {API} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        done = await asyncio.to_thread(subprocess.run, command, input=said, capture_output=True, timeout=60)
        out = (done.stdout + done.stderr).decode(errors="replace")
        assert "TLSv1.3" in out
        assert "HTTP/1.1" in out
        assert "Session Ticket arrived" not in out
        assert "Reused" not in out
