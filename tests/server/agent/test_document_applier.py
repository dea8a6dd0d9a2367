"""Signed documents on a managed server: checked, stored and put in force. No network."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.server.agent import document_applier
from sipmesh.server.agent.document_applier import WAIT_FOR_LISTS_S
from sipmesh.server.agent.storage_retry import LONGEST_PAUSE_S
from sipmesh.server.replication.revocation_push import REVOKED, revoked_payload
from sipmesh.server.replication.stored_users import USERS
from sipmesh.storage.users.user_document import UserDocument
from support.control_plane import Plane
from support.full_disk import limited_to
from support.giving import LIST, OTHER_LIST, Giver, another_list, error, name_another_list, users
from support.managed import MGMT, Managed
from support.network import EDGE, EXAMPLE, FE1, FE2, POOL
from support.running import on_jumping_loop, on_loop


@on_jumping_loop
async def test_document_from_another_server_is_refused(managed: Managed) -> None:
    with Plane(managed) as plane:
        assert Giver(plane, FE1, EDGE).topology(managed.version(2)) == 403
        assert Giver(plane).topology(managed.version(2)) == 200


@on_jumping_loop
async def test_version_is_stored_in_force_and_passed_to_the_edge(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect(FE1, EDGE)
        assert Giver(plane).topology(managed.version(2)) == 200
        plane.exchange()
        for name in (FE1, EDGE):
            assert (plane.number(name), managed.holding(name).highest) == (2, 2)
            assert plane.agents[name].behind == 0
        assert [line["version"] for line in plane.hosts[EDGE].told.events("topology in force")] == [2]


@on_jumping_loop
async def test_version_that_failed_is_accepted_when_it_is_sent_again(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, jws = Giver(plane), managed.version(2)
        plane.hosts[FE1].refuses = "it would become an edge"
        assert giver.topology(jws) == 488
        assert (plane.number(FE1), "would become an edge" in error(plane)) == (1, True)
        plane.hosts[FE1].refuses = ""
        assert giver.topology(jws) == 200
        assert plane.number(FE1) == 2


@pytest.mark.parametrize("comes", [True, False])
@on_jumping_loop
async def test_version_waits_a_limited_time_for_an_announced_crl(managed: Managed, *, comes: bool) -> None:
    with Plane(managed, FE1) as plane:
        giver, item = Giver(plane), Item(ItemKind.LIST, another_list(managed), OTHER_LIST)
        name_another_list(managed)
        giver.tell(item)
        assert giver.topology(managed.version(2)) == 200
        assert plane.number(FE1) == 1
        if comes:
            assert giver.give(item) == 200
            assert plane.number(FE1) == 2
        await asyncio.sleep(WAIT_FOR_LISTS_S + 0.1)
        assert (plane.number(FE1), (managed.folder(FE1) / OTHER_LIST).exists()) == (2, comes)


@on_jumping_loop
async def test_users_are_in_force_and_stored_once_all_parts_have_arrived(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver = Giver(plane)
        assert giver.give(users(managed, 1, 2)) == 200
        assert (plane.hosts[FE1].number, managed.holding(FE1).users.read().documents) == (0, ())
        assert giver.give(users(managed, 2, 2)) == 200
        assert (plane.hosts[FE1].number, len(managed.holding(FE1).users.read().documents)) == (3, 2)


@on_jumping_loop
async def test_users_that_management_has_not_signed_are_refused(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        document = UserDocument(managed.organisation.domain, POOL, 3).encode()
        assert (
            Giver(plane).give(Item(ItemKind.USERS, managed.signed(document, managed.credentials(FE2), USERS), "1", 3))
            == 488
        )
        assert plane.hosts[FE1].number == 0


@pytest.mark.parametrize(
    "kind", [ItemKind.CERTIFICATE, ItemKind.REVOKED, ItemKind.USERS, ItemKind.LIST, ItemKind.TOPOLOGY]
)
@on_jumping_loop
async def test_malformed_document_is_refused_and_reported(managed: Managed, kind: ItemKind) -> None:
    with Plane(managed, FE1) as plane:
        assert Giver(plane).give(Item(kind, b"nothing", LIST if kind is ItemKind.LIST else FE1)) == 488
        assert f"{kind} from {MGMT}" in error(plane)


@on_jumping_loop
async def test_version_that_the_disk_has_no_room_for_is_stored_later(managed: Managed) -> None:
    """The version is refused, the log has one line a minute, the report has the file and the remedy, and it heals by itself."""
    with Plane(managed, FE1) as plane:
        giver, agent = Giver(plane), plane.agents[FE1]
        with limited_to(100):
            version = managed.version(5)
            assert giver.topology(version) == 488
            for _ in range(180):
                await asyncio.sleep(0.5)
                agent.tick()
            assert giver.topology(version) == 200  # it is here already, and is tried at its own pace
            assert plane.hosts[FE1].view.loaded.number == 1
            assert "cannot be written: File too large; raise the limit" in error(plane)
            assert len(list(plane.hosts[FE1].told.events("document not stored: sipmesh tries again"))) == 2
        await asyncio.sleep(LONGEST_PAUSE_S)
        agent.tick()
        assert (plane.hosts[FE1].view.loaded.number, managed.holding(FE1).load().number, error(plane)) == (5, 5, "{}")


@on_loop
async def test_large_documents_are_applied_in_their_turn_by_a_thread(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their sender is answered before; the next one waits until the document before it is in force."""
    monkeypatch.setattr(document_applier, "LARGE", 1)
    with Plane(managed, FE1) as plane:
        giver, agent = Giver(plane), plane.agents[FE1]
        assert [giver.topology(managed.version(number)) for number in (2, 3)] == [200, 200]
        assert giver.give(users(managed, 1, 1)) == 200
        await agent.applier.finished()
        assert plane.number(FE1) == 3
        assert plane.hosts[FE1].number == 3
        assert error(plane) == "{}"
        assert giver.topology(managed.version(3)) == 200  # it is in force already, or differs in its time only
        await agent.applier.finished()


@on_loop
async def test_large_version_that_is_refused_is_reported(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_applier, "LARGE", 1)
    with Plane(managed, FE1) as plane:
        assert Giver(plane).topology(b"not signed") == 200
        await plane.agents[FE1].applier.finished()
        assert "topology" in error(plane)
        assert plane.number(FE1) == 1


@on_jumping_loop
async def test_pushed_revocation_is_in_force_and_passed_on(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        agent = plane.agents[FE1]
        item = Item(ItemKind.REVOKED, managed.signed(revoked_payload(EXAMPLE, 1, {(b"issuer", 7)}), kind=REVOKED))
        assert Giver(plane).give(item) == 200
        assert plane.hosts[FE1].revoked == {(b"issuer", 7)}
        assert agent.held.revoked == item


@on_jumping_loop
async def test_version_that_the_server_cannot_use_after_its_wait_is_reported(managed: Managed) -> None:
    """Its CRL was announced, and has not come in time."""
    with Plane(managed, FE1) as plane:
        giver = Giver(plane)
        name_another_list(managed)
        giver.tell(Item(ItemKind.LIST, another_list(managed), OTHER_LIST))
        assert giver.topology(managed.version(2)) == 200
        assert plane.agents[FE1].applier.pending is not None
        plane.hosts[FE1].refuses = "a port is taken"
        await asyncio.sleep(WAIT_FOR_LISTS_S)
        assert "a port is taken" in error(plane)


@on_loop
async def test_large_version_is_applied_once_its_crl_has_come(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_applier, "LARGE", 1)
    with Plane(managed, FE1) as plane:
        giver, applier = Giver(plane), plane.agents[FE1].applier
        crl = Item(ItemKind.LIST, another_list(managed), OTHER_LIST)
        name_another_list(managed)
        giver.tell(crl)
        assert giver.topology(managed.version(2)) == 200
        await applier.finished()
        assert (plane.number(FE1), applier.pending is not None) == (1, True)
        assert giver.give(crl) == 200
        await applier.finished()
        assert (plane.number(FE1), applier.pending) == (2, None)


@on_jumping_loop
async def test_version_that_waits_is_not_applied_after_the_end(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, applier = Giver(plane), plane.agents[FE1].applier
        crl = Item(ItemKind.LIST, another_list(managed), OTHER_LIST)
        name_another_list(managed)
        giver.tell(crl)
        assert giver.topology(managed.version(2)) == 200
        applier.close()
        await asyncio.sleep(WAIT_FOR_LISTS_S + 1)
        assert plane.number(FE1) == 1
