"""The programs of others that tests start: real phones, servers and browsers."""

from __future__ import annotations

import asyncio

STOP_S = 15.0


async def ended(process: asyncio.subprocess.Process) -> None:
    """Wait for a process that was ordered to stop; kill it if it does not stop in time."""
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
