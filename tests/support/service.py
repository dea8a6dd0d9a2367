"""A server with everything around it, in the test's own loop: it notices its files as a process of its own would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sipmesh.demo.organisation import Organisation
from sipmesh.server.running.running_server import RunningServer
from sipmesh.server.service import Service
from support.network import FE1
from support.telling import Told


@asynccontextmanager
async def serving_here(organisation: Organisation, told: Told, name: str = FE1) -> AsyncIterator[RunningServer]:
    """Run the service; it drains when it is cancelled."""
    async with service_here(organisation, told, name) as (_, node):
        yield node


@asynccontextmanager
async def service_here(
    organisation: Organisation, told: Told, name: str
) -> AsyncIterator[tuple[Service, RunningServer]]:
    """The same, with the service itself."""
    service = Service(organisation.file, name, told.log)
    ready: asyncio.Future[RunningServer] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(service.serve(ready.set_result))
    try:
        waiting: set[asyncio.Future[Any]] = {ready, running}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running  # it did not start, and says why
        yield service, await ready
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
