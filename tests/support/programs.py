"""The programs of others that tests start: real phones, servers and browsers."""

from __future__ import annotations

import asyncio
from pathlib import Path

STOP_S = 15.0


async def ended(process: asyncio.subprocess.Process) -> None:
    """Wait for a process that was ordered to stop; kill it if it does not stop in time."""
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def listens(port: int) -> bool:
    """Tell whether a server of this machine listens on *port*, without a connection to it."""
    wanted = f":{port:04X} "
    rows = (
        line.split() for file in ("/proc/net/tcp", "/proc/net/tcp6") for line in Path(file).read_text().splitlines()
    )
    return any(f"{row[1]} ".endswith(wanted) and row[3] == "0A" for row in rows)
