"""Pebble, the ACME server that Let's Encrypt makes for tests, and its mock DNS server; both on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509

from sipmesh.demo.forge import Forge
from sipmesh.demo.ports import HOST, free_port
from sipmesh.pki.files import certificates_pem
from support.programs import ended

WEB = "ca.test"
"""The name of its HTTPS, beside its address."""


@dataclass(frozen=True)
class Pebble:
    """A running CA: *port* is that of its directory; *http_port* and *tls_port* are those at which it looks for answers."""

    folder: Path
    port: int
    manager: int
    http_port: int
    tls_port: int

    @property
    def directory(self) -> str:
        return f"https://{HOST}:{self.port}/dir"

    @property
    def web_root(self) -> Path:
        """The root of the certificate of its HTTPS."""
        return self.folder / "web.pem"

    async def asked(self, path: str) -> str:
        """Ask its management interface."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                f"https://{HOST}:{self.manager}{path}", ssl=ssl.create_default_context(cafile=str(self.web_root))
            ) as answer,
        ):
            assert answer.status == 200, answer.status
            return await answer.text()

    async def root(self) -> x509.Certificate:
        """The root of what it issues."""
        return x509.load_pem_x509_certificate((await self.asked("/roots/0")).encode())

    async def intermediate(self) -> x509.Certificate:
        """What it issues with."""
        return x509.load_pem_x509_certificate((await self.asked("/intermediates/0")).encode())


@asynccontextmanager
async def pebble(
    folder: Path, *, dns: int = 0, http_port: int = 0, tls_port: int = 0, **settings: Any
) -> AsyncIterator[Pebble]:
    """Run Pebble in *folder*. *dns* is the port of a DNS server on loopback; 0: a server for which all names lead here.

    *settings* are further keys of its configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a test
    made = Pebble(folder, free_port(), free_port(), http_port or free_port(), tls_port or free_port())
    make_web_certificate(folder)
    config = {
        "listenAddress": f"{HOST}:{made.port}",
        "managementListenAddress": f"{HOST}:{made.manager}",
        "certificate": str(folder / "leaf.pem"),
        "privateKey": str(folder / "leaf.key"),
        "httpPort": made.http_port,
        "tlsPort": made.tls_port,
        "retryAfter": {"authz": 1, "order": 1},
        **settings,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    async with AsyncExitStack() as stack:
        if not dns:
            dns = free_port()
            names = ("-dns01", f"{HOST}:{dns}", "-management", f"{HOST}:{free_port()}", "-defaultIPv6", "")
            unused = [argument for one in ("http01", "https01", "tlsalpn01", "doh") for argument in (f"-{one}", "")]
            await stack.enter_async_context(_program(folder / "dns.log", "pebble-challtestsrv", *names, *unused))
        arguments = ("-config", str(folder / "pebble.json"), "-dnsserver", f"{HOST}:{dns}", "-strict")
        await stack.enter_async_context(_program(folder / "pebble.log", "pebble", *arguments))
        while not (_listens(made.manager) and _listens(made.port)):
            await asyncio.sleep(0.05)
        yield made


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((HOST, port)) == 0


@asynccontextmanager
async def _program(log: Path, *command: str) -> AsyncIterator[None]:
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "0"}
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, env=environment)
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            await ended(process)


def make_web_certificate(folder: Path) -> None:
    """Make the certificate of its HTTPS, for the address, under a root of its own."""
    forge = Forge(datetime.now(UTC))
    root = forge.root("web of the CA")
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST)), x509.DNSName(WEB)])
    forge.server(root, extra=(names,)).write(folder, "leaf")
    (folder / "web.pem").write_bytes(certificates_pem([root.certificate]))
