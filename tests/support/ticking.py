"""A front end whose deadlines are swept, with two phones, for tests of timers with a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sipmesh.server.running.running_server import RunningServer
from support.network import FE1, Network
from support.peer import Peer

SLACK_S: Final = 2.5  # the deadlines are swept once a second here


@asynccontextmanager
async def ticking(home: Network) -> AsyncIterator[tuple[RunningServer, Peer, Peer]]:
    """One front end whose deadlines are swept, with two phones."""
    async with home:
        node = home.nodes[FE1]
        sweeping = asyncio.create_task(_sweep(node))
        try:
            yield node, await home.phone("alice", FE1), await home.phone("bob", FE1)
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)


async def _sweep(node: RunningServer) -> None:
    while True:
        await asyncio.sleep(1)
        node.sweep.tick()


def is_idle(node: RunningServer) -> bool:
    """Return whether no request is left."""
    return not node.relay.load and not any(one.served or one.sent for one in node.flow_table.sessions())
