"""Publishing by a running management server: the compared draft, completely or not at all. No network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.management.publishing import publisher
from sipmesh.server.management.publishing.publish import OF_HOST
from sipmesh.server.management.replies import Plan, PutInForce
from sipmesh.storage.audit_act import AuditAct
from support.control_plane import Plane
from support.managed import MGMT, Managed, without
from support.network import EXAMPLE, FE1, FE2, POOL2
from support.running import on_jumping_loop, on_loop, until

WHO = "ada (1)"


async def publish(plane: Plane, plan: Plan, *, force: bool = False) -> PutInForce:
    publisher = plane.controller.publisher
    return await publisher.publish(WHO, "because", plan.base, plan.digest, force=force, name=plan.draft, role=OF_HOST)


def refusals(plane: Plane) -> list[Mapping[str, Any]]:
    return [line.about for line in plane.management_db.audit.read() if line.act == AuditAct.REFUSED]


@on_jumping_loop
async def test_plan_lists_the_changes_and_changes_nothing(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        assert (await plane.controller.publisher.plan()).changes == []
        managed.edit(without(FE2))
        plan = await plane.controller.publisher.plan()
        assert (plan.base, plan.draft, plan.dangers) == (1, "topology.yaml", [])
        assert any(FE2 in change for change in plan.changes)
        assert plane.number(MGMT) == 1


@on_jumping_loop
async def test_published_draft_is_in_force(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        managed.edit(without(FE2))
        told = await publish(plane, await plane.controller.publisher.plan())
        assert (told.version, told.forced, plane.number(MGMT)) == (2, [], 2)
        assert FE2 not in plane.hosts[MGMT].view.trusted
        assert refusals(plane) == []


@on_jumping_loop
async def test_draft_that_changed_since_the_plan_is_refused(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        plan = await plane.controller.publisher.plan()
        managed.edit(without(FE2))
        with pytest.raises(OperatorError, match="has changed since it was compared"):
            await publish(plane, plan)
        assert plane.number(MGMT) == 1
        assert [one["act"] for one in refusals(plane)] == ["publish"]


@on_jumping_loop
async def test_second_of_two_operators_is_refused(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        plan = await plane.controller.publisher.plan()
        await publish(plane, plan)
        with pytest.raises(OperatorError):
            await publish(plane, plan)
        assert plane.number(MGMT) == 2


@on_jumping_loop
async def test_draft_that_breaks_something_needs_force(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        plane.users.add("dora@example.test", "dora-secret", pool=POOL2)
        plane.users.refresh()

        def change(document: dict[str, Any]) -> None:
            document["pools"] = [pool for pool in document["pools"] if pool["name"] != POOL2]

        managed.edit(change)
        plan = await plane.controller.publisher.plan()
        assert plan.dangers
        with pytest.raises(OperatorError, match="--force"):
            await publish(plane, plan)
        assert (await publish(plane, plan, force=True)).forced == plan.dangers


@on_jumping_loop
async def test_draft_with_another_name_of_the_organisation_is_refused_by_force_too(managed: Managed) -> None:
    """No server would accept it, and no later version: it would be published, and nowhere in force."""
    with Plane(managed, FE1) as plane:
        plane.connect_all()
        plan = await plane.controller.publisher.plan()
        managed.edit(lambda document: document.update(organisation="Other"))
        with pytest.raises(OperatorError, match="an organisation cannot change its name"):
            await plane.controller.publisher.plan()
        with pytest.raises(OperatorError, match="an organisation cannot change its name"):
            await publish(plane, replace(plan, digest=managed.organisation.load().digest), force=True)
        managed.edit(lambda document: document.update(organisation=EXAMPLE))
        await publish(plane, await plane.controller.publisher.plan())
        await plane.settle()
        assert (plane.number(MGMT), plane.number(FE1)) == (2, 2)


@pytest.mark.parametrize("name", ["../topology.yaml", "/etc/hosts", "gone.yaml"])
@on_jumping_loop
async def test_draft_outside_the_folder_or_missing_is_refused(managed: Managed, name: str) -> None:
    with Plane(managed, FE1) as plane, pytest.raises(OperatorError):
        await plane.controller.publisher.plan(name)


@on_jumping_loop
async def test_draft_in_another_file_of_the_folder_is_published(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        file = managed.organisation.file
        managed.edit(without(FE2))
        file.rename(file.with_name("other.yaml"))
        assert (await publish(plane, await plane.controller.publisher.plan("other.yaml"))).version == 2


@on_jumping_loop
async def test_rollback_is_a_new_version_with_the_old_content(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        managed.edit(without(FE2))
        await publish(plane, await plane.controller.publisher.plan())
        told = await plane.controller.publisher.rollback(WHO, "", 1, 2, force=False, role=OF_HOST)
        assert (told.version, FE2 in plane.hosts[MGMT].view.trusted) == (3, True)
        with pytest.raises(OperatorError):
            await plane.controller.publisher.rollback(WHO, "", 9, 3, force=False, role=OF_HOST)
        assert refusals(plane)[-1]["to"] == 9


@on_jumping_loop
async def test_block_is_published_without_the_draft(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        managed.organisation.file.write_text("not in order")
        publisher = plane.controller.publisher
        assert (await publisher.block(WHO, "evil.test", OF_HOST)).version == 2
        assert plane.hosts[MGMT].view.loaded.topology.federation.blocked == ("evil.test",)
        assert await publisher.block(WHO, "evil.test", OF_HOST) == PutInForce(2)


@contextmanager
def silent_database() -> Iterator[tuple[Callable[[dict[str, Any]], None], socket.socket]]:
    """A change of the draft: the users are in a database whose server accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql+psycopg://u@/db?host=127.0.0.1&port={server.getsockname()[1]}"
        server.settimeout(0)
        yield lambda document: document.setdefault("storage", {}).update(users=url), server


def is_asked(server: socket.socket, connections: list[socket.socket]) -> bool:
    """Accept what has come."""
    try:
        connections.append(server.accept()[0])
    except BlockingIOError:
        return False
    return True


@on_loop
async def test_block_does_not_wait_for_a_publication_whose_database_is_silent(managed: Managed) -> None:
    """It got no answer until the publication was over: 10 s for each host of each database."""
    connections: list[socket.socket] = []
    with silent_database() as (change, server), Plane(managed, FE1) as plane:
        managed.edit(change)
        plan = await plane.controller.publisher.plan()
        publication = asyncio.create_task(publish(plane, plan, force=True))
        await until(lambda: is_asked(server, connections))
        await plane.controller.publisher.block(WHO, "evil.test", OF_HOST)
        assert not publication.done()
        connections[0].close()
        with pytest.raises(OperatorError, match="the user database of the draft cannot be used"):
            await publication
        assert plane.number(MGMT) == 2


@on_loop
async def test_publication_whose_database_is_silent_ends_at_its_deadline(
    managed: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "LOOK_S", 0.1)
    connections: list[socket.socket] = []
    with silent_database() as (change, server), Plane(managed, FE1) as plane:
        managed.edit(change)
        plan = await plane.controller.publisher.plan()
        with pytest.raises(OperatorError, match="the look at the user databases was not made within"):
            await publish(plane, plan, force=True)
        await until(lambda: is_asked(server, connections))
        connections[0].close()
        assert (plane.number(MGMT), [one["act"] for one in refusals(plane)]) == (1, ["publish"])
