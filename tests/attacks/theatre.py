"""The demo's network with every server in this process, so that a test can take a check away from all of them."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from sipmesh.demo.network import BOTS, DemoNetwork
from sipmesh.demo.people import People, log_in
from sipmesh.demo.score import Score
from sipmesh.server.admin.commands import AdminCommands
from sipmesh.server.control_socket import encode
from sipmesh.server.refresh.reload_result import ReloadResult
from sipmesh.server.running.running_server import RunningServer
from support.telling import Told


@dataclass(slots=True)
class Theatre(DemoNetwork):
    """What the demo asks of its servers over their control sockets is asked of them directly."""

    nodes: dict[str, RunningServer] = field(default_factory=dict)

    async def start(self, *names: str) -> None:
        """Run servers in this loop, all of them by default."""
        for name in names or (*self.example.ports, *self.partner.ports):
            if name != BOTS:
                self.nodes[name] = RunningServer(self.organisation_of(name).file, name, Told().log)
                self.nodes[name].start()

    async def ask(self, server: str, command: str, **given: Any) -> Any:
        """Ask a server."""
        commands = AdminCommands(
            self.nodes[server],
            reload=lambda: self.reload(server),
            look=lambda: self.reload(server),
            drain=self.nodes[server].core.drain,
        ).commands()
        return json.loads(encode(await commands[command](given)))

    def reload(self, server: str) -> ReloadResult:
        """Read topology and CRLs again."""
        closed = self.nodes[server].put_in_force(self.organisation_of(server).load())
        return ReloadResult(taken=True, closed=closed)

    async def stop(self) -> None:
        """Drain every server, and end the DNS."""
        for node in self.nodes.values():
            await node.drain()
        self.dns.close()


def quiet_score() -> Score:
    """A score that prints nothing."""
    return Score(Console(file=io.StringIO(), width=160))


@asynccontextmanager
async def staged(folder: Path, score: Score) -> AsyncIterator[tuple[Theatre, People]]:
    """Start everything, and log the people in."""
    network = await Theatre.build(folder)
    assert isinstance(network, Theatre)
    try:
        await network.start()
        people = await log_in(network, score)
        try:
            yield network, people
        finally:
            await people.leave()
    finally:
        await network.stop()
