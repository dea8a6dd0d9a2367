"""A managed server has its stored documents in force before it reaches management."""

from __future__ import annotations

import pytest

from support.managed import MGMT, Managed
from support.network import FE1
from support.running import on_loop


@on_loop
@pytest.mark.wide
async def test_stored_users_are_in_force_at_the_start_of_an_agent(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1, FE1)
        await managed.agent("alice", FE1)
        number = managed.nodes[FE1].user_updates.number
        await managed.stop(MGMT, FE1)
        await managed.start(FE1)
        assert managed.nodes[FE1].user_updates.number == number > 0
        await managed.agent("alice", FE1)
