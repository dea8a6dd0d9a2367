"""Debian's Firefox without a head, driven by its Marionette protocol."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.process.fork_server import die_with_parent
from support.programs import ended

PATIENCE_S = 120.0
LOOK_AGAIN_S = 0.05
FLAGS = ("--headless", "--marionette", "--no-remote")


class NotShownError(Exception):
    """Firefox does not show a page; the text is its reason."""


class Firefox:
    """One browser in *folder*, which finds the names of *hosts* on this machine. *before* is what it is started by."""

    def __init__(self, folder: Path, hosts: Sequence[str], before: Sequence[str] = ()) -> None:
        self._folder, self._before, self._port = folder, before, free_port()
        self._numbers = itertools.count(1)
        folder.mkdir()
        settings = {"marionette.port": self._port, "network.dns.localDomains": ",".join(hosts)}
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in settings.items())
        (folder / "user.js").write_text("".join(lines))

    async def __aenter__(self) -> Self:
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._before, "firefox-esr", *FLAGS, "--profile", str(self._folder),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
                env={**os.environ, "HOME": str(self._folder)},
            )  # fmt: skip
        async with asyncio.timeout(PATIENCE_S):
            self._reader, self._writer = await self._connected()
            await self._read()  # it greets
        await self.command("WebDriver:NewSession")
        return self

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            if self._process.returncode is not None:
                raise RuntimeError(f"Firefox ended:\n{(self._folder / 'log').read_text()}")
            try:
                return await asyncio.open_connection(HOST, self._port)
            except OSError:
                await asyncio.sleep(LOOK_AGAIN_S)

    async def _read(self) -> Any:
        size = await self._reader.readuntil(b":")
        return json.loads(await self._reader.readexactly(int(size[:-1])))

    async def command(self, name: str, **given: Any) -> Any:
        """Give a command; returns its result. Raises `NotShownError`."""
        asked = json.dumps([0, next(self._numbers), name, given]).encode()
        self._writer.write(b"%d:%b" % (len(asked), asked))
        async with asyncio.timeout(PATIENCE_S):
            _, _, error, result = await self._read()
        if error is not None:
            raise NotShownError(f"{error['error']}: {error['message']}")
        return result

    async def title(self, url: str) -> str:
        """Navigate to *url*; gives the title of the page. Raises `NotShownError` if Firefox warns of the certificate."""
        await self.command("WebDriver:Navigate", url=url)
        return str((await self.command("WebDriver:GetTitle"))["value"])

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._writer.close()
        if self._process.returncode is None:
            self._process.terminate()
        await ended(self._process)
