"""The example of an application: a program of another make, which has its own address."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sipmesh.trust.evidence import LinkKind
from support.network import BOT, EXAMPLE, FE1, FE2, Network
from support.running import on_loop, until

PROGRAM = Path(__file__).parents[2] / "examples" / "echo_application.py"
ECHO = f"echo@{EXAMPLE}"


@pytest.fixture(name="folder")
def _folder(pool: Network) -> Path:
    """The folder of the application, with the files of `sipmesh join accept`."""
    pool.set_application(sip_addresses=[ECHO])
    organisation = pool.organisations[0]
    roots = organisation.folder / "servers" / f"{BOT}.roots.pem"
    roots.write_bytes(organisation.root.read_bytes())
    return organisation.folder


@asynccontextmanager
async def running(folder: Path, pool: Network, *front_ends: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program with links to both front ends, of which it expects the names *front_ends*."""
    where = [pool.address(server, LinkKind.SERVER) for server in (FE1, FE2)]
    links = [f"{name}={host}:{port}" for name, (host, port) in zip(front_ends, where, strict=True)]
    named = ["--folder", str(folder), "--name", BOT, "--address", ECHO]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), *named, *links, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@on_loop
async def test_message_to_the_application_comes_back_from_it(pool: Network, folder: Path) -> None:
    """Also to a phone at the other front end."""
    async with pool, running(folder, pool, FE1, FE2):
        nodes = [pool.nodes[FE1], pool.nodes[FE2]]
        await until(lambda: all(any(link.peer_name == BOT for link in node.pool.all()) for node in nodes))
        for user, server in (("alice", FE1), ("bob", FE2)):
            phone = await pool.phone(user, server)
            await phone.send(phone.request("MESSAGE", f"sip:{ECHO}", [("content-type", "text/plain")], b"hello"))
            assert (await phone.final()).status == 200
            came = await phone.request_in("MESSAGE")
            assert (came.body, came.values("p-asserted-identity")) == (b"hello", [f"<sip:{ECHO}>"])
            await phone.reply(came, 200)


@on_loop
async def test_application_opens_no_link_to_a_server_of_another_name(pool: Network, folder: Path) -> None:
    async with pool, running(folder, pool, FE1, "fe9.example.test") as process:
        _, told = await process.communicate()
        assert (process.returncode, b"Hostname mismatch" in told) == (1, True)
