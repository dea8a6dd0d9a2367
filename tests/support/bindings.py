"""What a running server knows of the bindings of a user, read from its store where that is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sipmesh.routing.registrar.binding import Binding
from sipmesh.server.running.running_server import RunningServer
from support.running import LOOK_AGAIN_S


async def bound(node: RunningServer, aor: str) -> list[Binding]:
    """The rows that *node* would route a request for *aor* to."""
    found: asyncio.Future[Sequence[Binding] | None] = node.loop.create_future()
    node.registrations.look_up(aor, found.set_result)
    rows = await found
    assert rows is not None, "the store cannot be read"
    return list(rows)


async def until_bound(node: RunningServer, aor: str, count: int) -> None:
    """Wait until *node* knows so many rows of *aor*; the test's own patience bounds it."""
    while len(await bound(node, aor)) != count:
        await asyncio.sleep(LOOK_AGAIN_S)
