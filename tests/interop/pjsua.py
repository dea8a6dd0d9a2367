"""A real phone of a third make: PJSIP, by its Python package pjsua2, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from interop.hosts_file import with_hosts
from sipmesh.server.process.fork_server import die_with_parent
from support.programs import ended

PATIENCE_S = 20.0
LOOK_AGAIN_S = 0.05
PROGRAM = Path(__file__).with_name("pjsua_program.py")


class Pjsua:
    """One phone with one account, which sends everything by *server* (its preloaded Route)."""

    def __init__(
        self,
        folder: Path,
        user: str,
        password: str,
        domain: str,
        server: str,
        *,
        anchor: Path,
        secure: bool = True,
        answers: bool = True,
        publishes: bool = False,
        waiting: bool = False,
        expires_s: int = 600,
        rsa_only: bool = False,
        device: tuple[Path, Path] | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self.user, self.domain, self._server = folder, user, domain, server
        self._settings: dict[str, object] = {
            "user": user, "password": password, "domain": domain, "server": server, "anchor": str(anchor), "secure": secure,
            "answers": answers, "publishes": publishes, "waiting": waiting, "expires_s": expires_s, "rsa_only": rsa_only,
            "device": [str(file) for file in device or ()],
        }  # fmt: skip

    @classmethod
    def provisioned(cls, folder: Path, content: dict[str, Any], *, answers: bool = True) -> Self:
        """Make a phone with the JSON of an invitation alone."""
        account = content["AccountConfig"]
        user, _, domain = account["idUri"].removeprefix("sip:").partition("@")
        server = account["sipConfig"]["proxies"][0].removeprefix("<sip:").partition(";")[0]
        made = cls(folder, user, "", domain, server, anchor=folder / "none", answers=answers)
        made._settings = {"provisioned": content, "answers": answers}
        return made

    @property
    def log(self) -> str:
        """All that it has logged, SIP messages included."""
        log = self.folder / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    async def __aenter__(self) -> Self:
        command = shlex.join(("stdbuf", "-oL", sys.executable, str(PROGRAM), json.dumps(self._settings)))
        with (self.folder / "log").open("wb") as out:
            self._process = await asyncio.create_subprocess_exec(
                *with_hosts(self.folder, command, self._server.partition(":")[0]),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=out, preexec_fn=die_with_parent,
                cwd=self.folder,
            )  # fmt: skip
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        await ended(self._process)

    async def do(self, command: str, **given: object) -> None:
        """Give a command, and wait until it was carried out."""
        told = await self.ask(command, **given)
        assert told == "ok", f"{command}: {told} {self.log}"

    async def ask(self, command: str, **given: object) -> str:
        """Give a command; gives its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": command, **given}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            return str(json.loads(await self._process.stdout.readline()))

    async def registered(self) -> None:
        """Wait until the account is registered."""
        async with asyncio.timeout(PATIENCE_S):
            while "registration success" not in self.log:
                await asyncio.sleep(LOOK_AGAIN_S)

    async def hears(self, packets: int) -> None:
        """Wait until the newest call has received so many packets of audio; SRTP, or there are none."""
        async with asyncio.timeout(PATIENCE_S):
            while not (told := await self.ask("received")).isdigit() or int(told) < packets:
                await asyncio.sleep(LOOK_AGAIN_S)
