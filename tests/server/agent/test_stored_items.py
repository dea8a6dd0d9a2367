"""What a managed server holds, for itself and for the edges behind it. No network."""

from __future__ import annotations

import asyncio

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.server.agent.storage_retry import LONGEST_PAUSE_S
from support.control_plane import Plane
from support.full_disk import limited_to
from support.giving import Giver, error, users
from support.managed import Managed
from support.network import EDGE, FE1, FE2
from support.running import on_jumping_loop


@on_jumping_loop
async def test_certificate_of_an_edge_is_kept_for_it(managed: Managed) -> None:
    with Plane(managed) as plane:
        assert Giver(plane).give(Item(ItemKind.CERTIFICATE, b"for the edge", EDGE)) == 200
        agent, edge = plane.agents[FE1], plane.hosts[FE1].view.trusted[EDGE]
        assert [item.body for item in agent.held.items(edge) if item.kind is ItemKind.CERTIFICATE] == [b"for the edge"]
        assert [item for item in agent.held.items(None) if item.kind is ItemKind.CERTIFICATE] == []
        assert [item for item in agent.held.items(edge) if item.kind is ItemKind.USERS] == []


@on_jumping_loop
async def test_users_are_in_force_without_room_and_management_learns_what_is_stored(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, agent = Giver(plane), plane.agents[FE1]
        assert giver.give(users(managed, 1, 1, number=3)) == 200
        with limited_to(100):
            assert giver.give(users(managed, 1, 1, number=4)) == 200
        assert (plane.hosts[FE1].number, agent.held.state().users) == (4, 3)
        assert "users are in force, but not stored" in error(plane)
        await asyncio.sleep(LONGEST_PAUSE_S)
        agent.tick()
        assert (agent.held.state().users, managed.holding(FE1).users.read().number, error(plane)) == (4, 4, "{}")


@on_jumping_loop
async def test_what_an_earlier_leader_has_signed_is_no_longer_passed_on(managed: Managed) -> None:
    """Edges would refuse it: its fencing number is lower."""
    with Plane(managed, FE1) as plane:
        held, edge = plane.agents[FE1].held, plane.hosts[FE1].view.trusted[EDGE]
        old, new = Item(ItemKind.CERTIFICATE, b"old", EDGE), Item(ItemKind.CERTIFICATE, b"new", EDGE)
        held.revoked, held.certificates_of_edges = Item(ItemKind.REVOKED, b"old"), {EDGE: old}
        assert {item.kind for item in held.items(edge)} >= {ItemKind.REVOKED, ItemKind.CERTIFICATE}
        held.certificates_of_edges = {EDGE: new, FE2: old}
        held.forget_earlier_leader(new)
        assert held.certificates_of_edges == {EDGE: new}
        assert ItemKind.REVOKED not in {item.kind for item in held.items(edge)}
        first = held.revoked = Item(ItemKind.REVOKED, b"new")
        held.forget_earlier_leader(first)
        assert held.revoked is first
        assert held.certificates_of_edges == {}


@on_jumping_loop
async def test_edge_gets_no_users(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        held, edge = plane.agents[FE1].held, plane.hosts[FE1].view.trusted[EDGE]
        assert (ItemKind.USERS, "") in held.state().held
        assert (ItemKind.USERS, "") not in held.state(edge).held
