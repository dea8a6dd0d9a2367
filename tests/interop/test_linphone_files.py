"""linphone sends files beside messages, and fetches them, over HTTPS with a certificate that it verifies."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shlex
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from interop.hosts_file import require_namespaces, with_hosts
from sipmesh.demo.network import FE1, DemoNetwork
from sipmesh.demo.web import MGMT
from sipmesh.server.process.fork_server import die_with_parent
from sipmesh.storage.sent_files import SentFiles
from sipmesh.trust.evidence import LinkKind
from support.checkout import ROOT
from support.invited import Invitee, invited

pytestmark = [pytest.mark.wide, pytest.mark.peer("linphone")]

PROGRAM = ROOT / "tests" / "interop" / "linphone_files.py"
PATIENCE_S = 60.0


class Phone:
    """One linphone with an account of *user*; its device has the *password*."""

    def __init__(
        self, network: DemoNetwork, folder: Path, user: str, password: str, *, login: str = "", files: str = ""
    ) -> None:
        folder.mkdir(parents=True)
        server = f"{FE1}:{network.example.address(FE1, LinkKind.CLIENT)[1]}"
        url = files or f"https://{MGMT}:{_port(network)}/files"
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


def _port(network: DemoNetwork) -> int:
    document: Any = network.example.document
    return int(document["invitations"]["listen"].rpartition(":")[2])


def stored(network: DemoNetwork) -> int:
    """How many files management has."""
    store = SentFiles(network.example.file.parent / "state" / "files.db")
    try:
        return store.usage()[0]
    finally:
        store.close()


def test_linphone_sends_a_file_to_linphone_and_none_with_its_own_password_or_to_another_server(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    """The receiver is offline at first: the message about the file is stored. The other server has another certificate."""
    require_namespaces()

    async def play() -> None:
        network = await DemoNetwork.build(tmp_path / "n", web=True)
        for server in (FE1, MGMT):
            network.dns.records[server, "A"] = ["127.0.0.1"]
        await network.start(MGMT, FE1)
        alice, bob = [await device_password(network, user) for user in ("alice", "bob")]
        note = tmp_path / "plan.txt"
        note.write_text("to be built\n" * 50_000)
        own = Phone(network, tmp_path / "own", "alice", "alice-secret", login="alice")
        misled = Phone(network, tmp_path / "misled", "alice", alice, files=f"https://{FE1}:{_port(network)}/files")
        for phone in (own, misled):
            async with phone:
                refused = await phone.does(f"send bob@example.test {note}")
                assert not refused["delivered"], refused
        assert not stored(network)
        async with Phone(network, tmp_path / "alice", "alice", alice) as sender:
            sent = await sender.does(f"send bob@example.test {note}")
            assert sent["delivered"], sent
        async with Phone(network, tmp_path / "bob", "bob", bob) as receiver:
            got = await receiver.does("receive")
        assert (got["from"], got["name"], got["fetched"]) == ("sip:alice@example.test", "plan.txt", True)
        assert got["sha256"] == hashlib.sha256(note.read_bytes()).hexdigest()
        assert stored(network) == 1
        await network.stop()

    runner.run(play())
