"""One server of a run, over all its processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulation.processes import Process, ProcessState

if TYPE_CHECKING:
    import asyncio

    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.server.service import Service


@dataclass(eq=False)
class Server:
    """One server over all its runs; *service* and *node* are of the present run, None while it is down.

    *stopping*: the present run was ordered to stop. *started_at* is when it began to serve. *highest* is the newest version that
    it has had in force. *rolled_back*: an older state was put into its folder, so that it may refuse to start. *graveyard* keeps
    what dead processes have left until the run is over: the garbage collector would run their handlers at a moment that no seed
    decides.
    """

    name: str
    process: Process
    service: Service | None = None
    node: RunningServer | None = None
    task: asyncio.Task[None] | None = None
    stopping: bool = False
    highest: int = 0
    started_at: float = 0.0
    rolled_back: bool = False
    workers: list[Server] = field(default_factory=list)
    graveyard: list[object] = field(default_factory=list)

    @property
    def serves(self) -> bool:
        """Whether it runs, is not hung, and was not told to stop."""
        return self.node is not None and not self.stopping and self.process.state is ProcessState.RUNNING
