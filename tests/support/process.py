"""A server in a process of its own, started as an operator starts it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sipmesh.demo import forkserver
from sipmesh.demo.forkserver import Forked
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import SipmeshError
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask
from support.running import LOOK_AGAIN_S


class Process:
    """One `sipmesh serve`; its log is in a file, one JSON object a line."""

    def __init__(self, organisation: Organisation, name: str, started: Forked) -> None:
        self.organisation, self.name, self.started = organisation, name, started

    @property
    def log(self) -> str:
        """All that it has logged."""
        return (self.organisation.folder / f"{self.name}.log").read_text()

    async def ask(self, command: str, **given: Any) -> Any:
        """Ask its control socket."""
        return await ask(self.organisation.folder / "state" / f"{self.name}{SOCKET_SUFFIX}", command, **given)

    async def ready(self) -> None:
        """Wait until it answers."""
        while True:
            assert self.started.poll() is None, self.log
            try:
                await self.ask("status")
            except SipmeshError:
                await asyncio.sleep(LOOK_AGAIN_S)
            else:
                return

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        self.started.send_signal(number)
        return await self.started.waited()


async def spawn(organisation: Organisation, name: str) -> Process:
    """Start a server; it may not serve yet."""
    with (organisation.folder / f"{name}.log").open("ab") as log:
        started = forkserver.start(("serve", name, "--topology", str(organisation.file)), log)
    return Process(organisation, name, started)


@asynccontextmanager
async def serving(organisation: Organisation, name: str) -> AsyncIterator[Process]:
    """Run a server, and leave no process behind."""
    process = await spawn(organisation, name)
    try:
        await process.ready()
        yield process
    finally:
        process.started.kill()
        await process.started.waited()
