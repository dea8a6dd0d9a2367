"""A stolen management server has used the highest numbers that count; the operators shut it out by the other one.

Its signatures are valid, and approvals do not help: the content is the approved one. The links and the database are real.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from sipmesh.database.number_ceilings import FENCING_NUMBERS, USERS_NUMBERS, VERSIONS
from sipmesh.distribution.items import Item, ItemKind
from sipmesh.topology.versions.approval import Proposal
from sipmesh.topology.versions.jose import open_signed
from sipmesh.topology.versions.publication import KIND, Draft, Publication
from support.approving import Approver, put, rule
from support.control_plane import Plane
from support.managed import MGMT, MGMT2, Managed, without
from support.network import EDGE, EXAMPLE, FE1, FE2
from support.pool import Pool, build_pool
from support.running import on_loop, until
from support.tiers import wide_after


def stolen_version(managed: Managed, number: int, fencing: int) -> bytes:
    """The version in force again, signed under other numbers by the stolen signer."""
    old = Publication.decode(open_signed(managed.published(), KIND).payload)
    again = replace(old, number=number, at=datetime.now(UTC).replace(microsecond=0))
    return managed.signed(again.encode(), fencing=fencing)


def give(plane: Plane, jws: bytes) -> None:
    """Let front end and edge receive a version that the stolen server has signed."""
    plane.agents[FE1].applier.receive(MGMT, Item(ItemKind.TOPOLOGY, jws))
    plane.exchange()


@pytest.mark.parametrize("attack", wide_after(2, ["version", "nothing", "fencing number"]))
@on_loop
async def test_version_that_overtakes_reaches_servers_with_the_highest_numbers(managed: Managed, attack: str) -> None:
    with Plane(managed, FE1, EDGE) as plane:
        plane.connect_all()
        await plane.controller.refresh_users()
        plane.exchange()
        now = datetime.now(UTC)
        number = VERSIONS.at(now) if attack == "version" else 2
        fencing = FENCING_NUMBERS.at(now) if attack == "fencing number" else 0
        if attack != "nothing":
            give(plane, stolen_version(managed, number, fencing))
            assert (plane.number(FE1), plane.number(EDGE)) == (number, number)
        plane.users.remove(f"sip:alice@{EXAMPLE}")
        managed.edit(without(FE2))
        for overtake in (False, True):
            plan = await plane.ask("plan")
            agreed: dict[str, Any] = {"base": plan["base"], "digest": plan["digest"], "overtake": overtake}
            version = (await plane.ask("publish", why="shut out", **agreed))["version"]
            await plane.settle()
            await plane.controller.refresh_users()
            plane.exchange()
            is_reached = plane.number(FE1) == version and plane.hosts[FE1].number == plane.users.number
            assert is_reached == (overtake or attack == "nothing")
        assert plane.number(EDGE) == version
        assert (await plane.publish())["version"] == version + 1
        assert (plane.number(FE1), plane.number(EDGE)) == (version + 1, version + 1)
        assert managed.holding(FE1).fencing == plane.management_db.lease.fencing


@on_loop
async def test_version_that_overtakes_brings_users_to_a_server_with_their_highest_number(managed: Managed) -> None:
    """The stolen server has sent users too: without it, a removed user could log in there for ever."""
    aor, url = f"sip:alice@{EXAMPLE}", managed.organisation.load().users_url
    async with managed:
        await managed.start(MGMT, FE1)
        updates = managed.nodes[FE1].user_updates
        await until(lambda: updates.number > 0)
        top, engine = USERS_NUMBERS.at(datetime.now(UTC)), sql.create_engine(url, poolclass=sql.NullPool)
        for number in (top, 20):  # and what did it is gone again
            with engine.begin() as db:
                db.execute(sql.text("UPDATE users_version SET version = :number"), {"number": number})
            await until(lambda: updates.number == top)
        engine.dispose()
        assert f"{top} was seen here" in await managed.type("user", "remove", aor, code=1)  # it would reach no server
        await managed.type("topology", "publish", "-m", "shut out", "--overtake", "--wait", "0")
        await until(lambda: updates.number > top)
        await managed.type("user", "remove", aor)
        await until(lambda: managed.nodes[FE1].users.verifier(aor) is None)
        assert managed.nodes[FE1].users.verifier(f"sip:bob@{EXAMPLE}") is not None


def proposal(folder: Path, serial: int) -> Proposal:
    file = folder / "topology.yaml"
    draft = Draft.read(file.read_bytes(), file)
    return Proposal(draft.loaded.topology.organisation, serial, draft.topology, draft.files)


@pytest.mark.peer("postgresql")
@pytest.mark.soak
@pytest.mark.parametrize("attack", ["version", "fencing number"])
@on_loop
async def test_operators_shut_out_a_stolen_management_server_by_the_other_one(
    tmp_path: Path, postgres_url: str, attack: str
) -> None:
    organisation, entry = build_pool(tmp_path / "m")
    pool = Pool.make(organisation, entry, tmp_path, postgres_url)
    network, ada, ben = pool.network, Approver("ada"), Approver("ben")
    async with network:
        await network.start(MGMT, FE1)
        network.edit(lambda document: document.update(approvals=rule(ada, ben, publish=2, block=1)))
        put(organisation.folder, proposal(organisation.folder, 1), ada, ben)
        approved = await pool.publish(MGMT)
        pool.join()
        await pool.join_pool()
        await network.start(MGMT2)
        await network.in_force(approved, MGMT, MGMT2, FE1)
        now = datetime.now(UTC)
        number = VERSIONS.at(now) if attack == "version" else approved + 1
        fencing = FENCING_NUMBERS.at(now) if attack == "fencing number" else pool.controller(MGMT)._offers.fencing
        network.master._offers.offer_version(stolen_version(network, number, fencing))
        network.master._notifier.changed()
        await network.in_force(number, FE1)
        await network.stop(MGMT)
        await until(lambda: pool.leads(MGMT2) and pool.controller(MGMT2).leadership.is_ready)
        await until(lambda: FE1 in pool.controller(MGMT2).reports.reports)
        folder = network.folder(MGMT2)
        without(MGMT)(organisation.document)
        organisation.write()
        shutil.copy(organisation.file, folder / "topology.yaml")
        put(folder, proposal(folder, 2), ada, ben)
        plan = await network.ask(MGMT2, "plan")
        agreed: dict[str, Any] = {"base": plan["base"], "digest": plan["digest"], "force": True, "overtake": True}
        told = await network.ask(MGMT2, "publish", why="shut out", **agreed)
        await network.in_force(told["version"], MGMT2, FE1)
        assert network.nodes[FE1].view.trusted.get(MGMT) is None
        assert network.nodes[FE1].view.trusted.get(MGMT2) is not None
