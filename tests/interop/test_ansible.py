"""The play of the page about the HTTP API, run by Ansible against a management server that runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.ports import HOST
from support.checkout import ROOT
from support.console import Visitor, management_with_console
from support.managed import Managed
from support.programs import ended
from support.running import on_loop

pytestmark = [pytest.mark.soak, pytest.mark.peer("ansible")]
USER = "dora@example.test"


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[str]:
    """A proxy whose every CONNECT leads to *port*: DNS does not know the names of the test. Gives its URL."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(1 << 16):
            writer.write(octets)
            await writer.drain()
        writer.write_eof()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        inner, outer = await asyncio.open_connection(HOST, port)
        opened.append(outer)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(copy(reader, outer), copy(inner, writer), return_exceptions=True)

    opened: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(carry, HOST)
    async with server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        for writer in opened:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in opened), return_exceptions=True)


async def play(network: Managed, folder: Path, token: str) -> tuple[int, str]:
    """Run the play of the page in the folder of management."""
    console: Any = network.organisation.document["console"]
    port = str(console["listen"]).rpartition(":")[2]
    text = (ROOT / "docs/howto/api.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    home = network.organisation.folder
    (home / "users.yaml").write_text(text.replace(":8444", f":{port}").replace("example.com", "example.test"))
    async with proxy_to(int(port)) as proxy:
        program = await asyncio.create_subprocess_exec(
            *("ansible-playbook", "-i", "localhost,", "-c", "local", "users.yaml"),
            cwd=home,
            env={
                **{key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ},
                "LC_ALL": "C.UTF-8",
                "HOME": str(folder),
                "ANSIBLE_NOCOLOR": "1",
                "https_proxy": proxy,
                "TOKEN": token,
                "DORA_PASSWORD": "a-long-secret",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            printed, _ = await program.communicate()
        finally:
            await ended(program)
    return program.returncode or 0, printed.decode()


@on_loop
async def test_second_run_of_the_play_changes_nothing_and_a_viewer_changes_nothing(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as viewer:
        code, printed = await play(network, tmp_path, "vera-token")
        assert code != 0, printed
        assert (await viewer.get(f"/api/v1/user?user={USER}")).status == 409
        results = [await play(network, tmp_path, "otto-token") for _ in range(2)]
        assert [code for code, _ in results] == [0, 0], results
        added, again = (printed.rpartition("TASK [Add those who are missing]")[2] for _, printed in results)
        assert ("skipping" in added, "skipping" in again) == (False, True), results
        assert (await viewer.get(f"/api/v1/user?user={USER}")).json["account"]["user"] == USER
        assert all("a-long-secret" not in printed for _, printed in results)
