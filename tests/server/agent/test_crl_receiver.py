"""CRLs on a managed server: written, kept until a version names them, or refused. No network."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.server.agent import crl_receiver
from sipmesh.server.agent.crl_receiver import MOST_EARLY
from sipmesh.server.agent.storage_retry import LONGEST_PAUSE_S
from support.control_plane import Plane
from support.full_disk import limited_to
from support.giving import LIST, OTHER_LIST, Giver, another_list, error, name_another_list
from support.managed import Managed
from support.network import FE1
from support.running import on_jumping_loop, on_loop, until


@on_jumping_loop
async def test_crl_is_written_and_read(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        item, file = Item(ItemKind.LIST, another_list(managed), LIST), managed.folder(FE1) / LIST
        assert Giver(plane).give(item) == 200
        assert (file.read_bytes(), plane.hosts[FE1].looked) == (item.body, [file])


@on_jumping_loop
async def test_early_crl_is_written_with_the_version_that_names_it(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, file = Giver(plane), managed.folder(FE1) / OTHER_LIST
        item = Item(ItemKind.LIST, another_list(managed), OTHER_LIST)
        assert giver.give(item) == 200
        assert not file.exists()
        name_another_list(managed)
        assert giver.topology(managed.version(2)) == 200
        assert file.read_bytes() == item.body


@on_jumping_loop
async def test_crl_outside_the_folder_or_beyond_the_limit_is_refused(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, body = Giver(plane), another_list(managed)
        assert giver.give(Item(ItemKind.LIST, body, "../outside.crl")) == 488
        assert not (managed.folder(FE1).parent / "outside.crl").exists()
        plane.agents[FE1].applier._crls._early["large"] = Item(ItemKind.LIST, bytes(MOST_EARLY), "large")
        assert giver.give(Item(ItemKind.LIST, body, OTHER_LIST)) == 488
        plane.agents[FE1].applier._crls._early.clear()
        assert giver.give(Item(ItemKind.LIST, body, OTHER_LIST)) == 200


@on_jumping_loop
async def test_crl_and_certificate_are_stored_when_the_disk_has_room(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, agent, crl = Giver(plane), plane.agents[FE1], another_list(managed)
        with limited_to(100):
            assert giver.give(Item(ItemKind.LIST, crl, LIST)) == 488
        assert str(managed.folder(FE1) / LIST) in error(plane)
        await asyncio.sleep(LONGEST_PAUSE_S)
        agent.tick()
        assert (managed.folder(FE1) / LIST).read_bytes() == crl
        assert error(plane) == "{}"


@on_loop
async def test_large_crl_is_read_by_a_thread_and_written_after_its_sender_was_answered(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crl_receiver, "LARGE", 1)
    with Plane(managed, FE1) as plane:
        body, file = another_list(managed), managed.folder(FE1) / LIST
        assert Giver(plane).give(Item(ItemKind.LIST, body, LIST)) == 200
        await until(lambda: file.read_bytes() == body)
        await until(lambda: file in plane.hosts[FE1].looked)


@on_loop
async def test_large_crl_that_cannot_be_read_is_reported(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crl_receiver, "LARGE", 1)
    with Plane(managed, FE1) as plane:
        assert Giver(plane).give(Item(ItemKind.LIST, b"no CRL", LIST)) == 200
        await until(lambda: LIST in error(plane))


@on_loop
async def test_large_crl_that_no_version_names_is_kept(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crl_receiver, "LARGE", 1)
    with Plane(managed, FE1) as plane:
        crls = plane.agents[FE1].applier._crls
        assert Giver(plane).give(Item(ItemKind.LIST, another_list(managed), OTHER_LIST)) == 200
        await until(lambda: OTHER_LIST in crls._early)
        await until(lambda: not crls._reading)


@on_loop
async def test_only_so_many_large_crls_are_read_at_once(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CRL that is refused is sent again later; a CRL that is being read is not read twice."""
    monkeypatch.setattr(crl_receiver, "LARGE", 1)
    monkeypatch.setattr(crl_receiver, "MOST_READ_AHEAD", 2)
    with Plane(managed, FE1) as plane:
        giver, crls = Giver(plane), plane.agents[FE1].applier._crls
        item = Item(ItemKind.LIST, another_list(managed), LIST)
        assert [giver.give(item), giver.give(item)] == [200, 200]
        assert len(crls._reading) == 1
        assert giver.give(Item(ItemKind.LIST, b"a second one", LIST)) == 200
        assert giver.give(Item(ItemKind.LIST, b"a third one", LIST)) == 488
        tasks = list(crls._reading.values())
        crls.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.done() for task in tasks)


@on_loop
async def test_large_crl_that_the_disk_does_not_store_is_tried_again(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crl_receiver, "LARGE", 1)
    with Plane(managed, FE1) as plane:
        giver, item = Giver(plane), Item(ItemKind.LIST, another_list(managed), LIST)
        with limited_to(100):
            assert giver.give(item) == 200
            await until(lambda: "is not stored" in error(plane))
        await until(lambda: not plane.agents[FE1].applier._crls._reading)
