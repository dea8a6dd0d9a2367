"""The answers of management's control socket. No network."""

from __future__ import annotations

import json

import pytest

from sipmesh.errors import OperatorError
from support.control_plane import Plane
from support.managed import MGMT, Managed, without
from support.network import EDGE, FE1, FE2
from support.running import on_jumping_loop


@on_jumping_loop
async def test_plan_publish_history_and_version_agree(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        managed.edit(without(FE2))
        plan = await plane.ask("plan")
        assert (plan["base"], plan["draft"]) == (1, "topology.yaml")
        told = await plane.ask("publish", why="fe2 has left", base=1, digest=plan["digest"])
        assert told["version"] == 2
        history = await plane.ask("history")
        assert {one["version"]: one["why"] for one in history}[2] == "fe2 has left"
        version = await plane.ask("version", version=2)
        assert (version["why"], FE2 in version["topology"]) == ("fe2 has left", False)
        assert "ca/root.pem" in version["files"]
        json.dumps([plan, told, history, version])


@on_jumping_loop
async def test_rollback_and_block_publish_a_version(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        assert (await plane.ask("block", name="evil.test"))["version"] == 2
        assert (await plane.ask("rollback", version=1, base=2, why="", force=True))["version"] == 3
        assert plane.number(MGMT) == 3


@on_jumping_loop
async def test_network_has_every_server(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        told = await plane.ask("network")
        assert told["version"] == 1
        assert {FE1, FE2, EDGE} <= {one["server"] for one in told["servers"]}
        faults = {one["server"]: bool(one["faults"]) for one in told["servers"]}
        assert (faults[FE1], faults[FE2]) == (False, True)
        json.dumps(told)


@on_jumping_loop
async def test_acknowledged_names_the_missing_servers_after_the_wait(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        told = await plane.ask("acknowledged", version=1, wait_s=1.0)
        assert FE2 in told["missing"]
        assert FE1 not in told["missing"]
        assert (told["new"], told["servers"]) == ([], 5)


@on_jumping_loop
async def test_root_step_out_of_order_is_refused(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        for step in ("activate", "switch"):
            with pytest.raises(OperatorError):
                await plane.ask("root", step=step)
        with pytest.raises(KeyError):
            await plane.ask("root", step="skip")
