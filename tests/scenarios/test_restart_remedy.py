"""A published port that a server uses from its next start only: a fault until the server is restarted."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.demo.ports import free_port
from sipmesh.server.replication.link_fault import Cause
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2, POOL
from support.running import on_loop
from support.shown_faults import ShownFaults, console_entry

pytestmark = pytest.mark.wide


def with_console(document: dict[str, Any]) -> None:
    document["console"] = console_entry()
    document["pools"] = [pool for pool in document["pools"] if pool["name"] != "pool2.example.test"]


def with_metrics(document: dict[str, Any]) -> None:
    """Give fe1 a port for its metrics."""
    servers = next(pool for pool in document["pools"] if pool["name"] == POOL)["servers"]
    next(one for one in servers if one["name"] == FE1)["metrics"] = free_port()


@on_loop
async def test_port_that_needs_a_restart_is_a_fault_until_its_server_is_restarted(managed: Managed) -> None:
    here = ShownFaults(managed)
    async with managed:
        await managed.start(MGMT)
        await managed.publish(with_console, force=True)
        managed.join(FE2)
        await managed.start(FE1, FE2, EDGE)
        await here.well()
        await managed.publish(with_metrics)
        name, fault = await here.only(Cause.RESTART)
        assert (name, fault.what) == (FE1, "has to be restarted: published addresses or ports differ")
        assert f"systemctl restart sipmesh@{FE1}" in fault.remedy
        await managed.stop(FE1)
        await managed.start(FE1)
        await here.well()
