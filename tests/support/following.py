"""Syncs of a management server that runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from support.running import LOOK_AGAIN_S, until

if TYPE_CHECKING:
    from support.managed import Managed

PROMISED_S: Final = 60.0
"""Seconds within which a user who is disabled in the directory is out."""


async def settled(network: Managed, reason: str = "") -> None:
    """Wait for a sync that begins from now on, and ends without a fault, or with *reason* in its fault."""
    follower = network.master.directory
    while follower._task is not None and not follower._task.done():
        await asyncio.sleep(LOOK_AGAIN_S)
    task, follower._due_at = follower._task, 0.0
    await until(lambda: follower._task is not task and follower._task is not None and follower._task.done())
    held = await network.master.users_in_force(PROMISED_S)
    assert not set(held.missing) & set(network.nodes)
    assert (reason in follower.report.fault, bool(follower.report.fault)) == (True, bool(reason)), follower.report.fault
