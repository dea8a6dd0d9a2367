"""A store that stops under a running network is one fault, at the store; it goes when the store is started again."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.server.management.peer_statuses import MANAGEMENT_DATABASE, registrations_of
from sipmesh.server.replication.link_fault import Cause
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2, POOL
from support.pool import Pool, build_pool
from support.postgres import Cluster
from support.running import on_loop, until
from support.shown_faults import ShownFaults, console_entry
from support.valkey_network import pool_entry, url_of
from support.valkey_server import ValkeyServer


@pytest.mark.peer("valkey")
@on_loop
async def test_stopped_valkey_is_one_fault_of_the_registrations_until_it_runs(
    managed: Managed, valkey: ValkeyServer
) -> None:
    here, document = ShownFaults(managed), managed.organisation.document
    document["console"] = console_entry()
    document["pools"] = [pool for pool in document["pools"] if pool["name"] != "pool2.example.test"]
    pool_entry(managed.organisation, POOL)["storage"] = {"bindings": url_of(valkey)}
    async with managed:
        managed.organisation.write()
        await managed.start(MGMT)
        await managed.publish(force=True)
        await managed.start(FE1, FE2, EDGE)
        await here.well()
        valkey.kill()
        name, fault = await here.only(Cause.STORE)
        assert (name, sorted(fault.hurts)) == (registrations_of(POOL), [FE1, FE2])
        assert "start the store" in fault.remedy
        valkey.start()
        await here.well()


@pytest.mark.peer("postgresql")
@on_loop
async def test_stopped_postgresql_is_one_fault_of_the_management_database_until_it_runs(
    tmp_path: Path, postgres_url: str, cluster: Cluster
) -> None:
    """Users, versions and audit log are in it; the servers go on with the users that they have."""
    organisation, entry = build_pool(tmp_path / "m")
    organisation.document["console"] = console_entry()
    pool = Pool.make(organisation, entry, tmp_path, f"{postgres_url}&connect_timeout=2")
    network = pool.network
    here = ShownFaults(network)
    async with network:
        await network.start(MGMT, FE1, FE2)
        await until(lambda: network.nodes[FE1].users.ready and network.nodes[FE2].users.ready)
        before = {(name, fault.code) for name, fault in here.faults()}
        cluster.stop()
        try:
            await until(lambda: {(name, fault.code) for name, fault in here.faults()} != before)
            name, fault = next((name, fault) for name, fault in here.faults() if (name, fault.code) not in before)
            assert (name, fault.code) == (MANAGEMENT_DATABASE, Cause.STORE)
        finally:
            cluster.start()
        await until(lambda: {(name, fault.code) for name, fault in here.faults()} == before)
