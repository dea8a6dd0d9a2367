"""A server gets the role for the source of its topology."""

from __future__ import annotations

import pytest

from sipmesh.server.agent.agent import Agent
from sipmesh.server.management.controller import Controller
from sipmesh.server.proxy.control_plane import NoControlPlane
from sipmesh.server.wiring import here
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, Network
from support.running import on_loop
from support.service import service_here
from support.telling import Told


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


@on_loop
async def test_server_of_a_network_without_management_has_neither_role(home: Network) -> None:
    async with service_here(home.organisations[0], Told(), FE1) as (service, node):
        assert service.control_plane is None
        assert (node.is_managed, type(node.outside.control_plane)) == (False, NoControlPlane)


@pytest.mark.parametrize("name", [FE1, EDGE])
def test_contact_in_control_dialogs_is_the_server_port(home: Network, name: str) -> None:
    seen = view(home.organisations[0].load(), name)
    ours = here(seen)
    port = home.organisations[0].address(name, LinkKind.SERVER)[1]
    assert ours.name == name
    assert ours.sent_by.endswith(f":{port}")
    assert len({ours.token() for _ in range(100)}) == 100
