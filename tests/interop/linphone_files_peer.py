"""linphone that sends and receives files, as a process of its own (``linphone_files.py``)."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from interop.hosts_file import with_hosts
from sipmesh.demo.network import FE1, DemoNetwork
from sipmesh.demo.web import MGMT
from sipmesh.server.process.fork_server import die_with_parent
from sipmesh.trust.evidence import LinkKind
from support.checkout import ROOT
from support.invited import Invitee, invited

PROGRAM = ROOT / "tests" / "interop" / "linphone_files.py"
PATIENCE_S = 60.0


class LinphoneWithFiles:
    """One linphone with an account of *user*; its device has the *password*."""

    def __init__(
        self, network: DemoNetwork, folder: Path, user: str, password: str, *, login: str = "", files: str = ""
    ) -> None:
        folder.mkdir(parents=True)
        server = f"{FE1}:{network.example.address(FE1, LinkKind.CLIENT)[1]}"
        url = files or f"https://{MGMT}:{files_port(network)}/files"
        given = (folder, network.example.root, server, f"{user}@example.test", login or f"{user}+json", password, url)
        command = shlex.join(("python3", str(PROGRAM), *map(str, given)))
        self._program = with_hosts(folder, f"env HOME={folder} PYTHONPATH={ROOT / 'tests'} {command}", FE1, MGMT)

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        assert await self._answer() == {"registered": True}
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def does(self, line: str) -> dict[str, Any]:
        """Have the phone carry out one line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while not (line := await self._process.stdout.readline()).startswith(b"{"):
                assert line, "linphone has ended"
        found: dict[str, Any] = json.loads(line)
        return found


async def device_password(network: DemoNetwork, user: str) -> str:
    """Have a user set up a device by an invitation; gives its password."""
    async with Invitee(network.example.root) as person:
        taken = await person.take(await invited(network.example.file, user), "json")
        return str(json.loads(taken.text)["account"]["password"])


def files_port(network: DemoNetwork) -> int:
    document: Any = network.example.document
    return int(document["invitations"]["listen"].rpartition(":")[2])
