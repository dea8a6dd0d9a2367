"""The management server publishes; the others follow it."""

from __future__ import annotations

import pytest

from sipmesh.server.agent.agent import Agent
from sipmesh.server.management.controller import Controller
from support.managed import MGMT, Managed
from support.network import EDGE, FE1
from support.running import on_loop


@on_loop
@pytest.mark.wide
async def test_management_is_the_controller_and_others_are_agents(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1, EDGE)
        assert isinstance(managed.master, Controller)
        for name in (FE1, EDGE):
            assert isinstance(managed.member(name), Agent)
            assert managed.nodes[name].is_managed
        await managed.acknowledged(1, FE1, EDGE)
        assert not managed.nodes[MGMT].is_managed
