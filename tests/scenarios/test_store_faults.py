"""A store that stops under a running network is one fault, at the store; it goes when the store is started again."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sipmesh.pki import files
from sipmesh.server.management.peer_statuses import MANAGEMENT_DATABASE, registrations_of
from sipmesh.server.replication.link_fault import Cause
from support.managed import MGMT, Change, Managed, servers_of
from support.network import BOT, EDGE, FE1, FE2, POOL
from support.pool import MANAGERS, Pool, build_pool
from support.postgres import Cluster
from support.running import on_loop, until
from support.shown_faults import ShownFaults, console_entry
from support.two_hosts import POOL_KEY
from support.valkey_network import pool_entry, url_of
from support.valkey_server import ValkeyServer


def with_valkey(managed: Managed, valkey: ValkeyServer, document: dict[str, Any]) -> None:
    """Have the registrations of the pool in Valkey."""
    document["console"] = console_entry()
    document["pools"] = [pool for pool in document["pools"] if pool["name"] != "pool2.example.test"]
    pool_entry(managed.organisation, POOL)["storage"] = {"bindings": url_of(valkey)}


@pytest.mark.wide
@pytest.mark.peer("valkey")
@on_loop
async def test_stopped_valkey_is_one_fault_of_the_registrations_until_it_runs(
    managed: Managed, valkey: ValkeyServer
) -> None:
    here = ShownFaults(managed)
    async with managed:
        await managed.start(MGMT)
        await managed.publish(partial(with_valkey, managed, valkey), force=True)
        for name in (FE1, FE2):
            managed.join(name)
            files.write(managed.folder(name) / "state" / f"{POOL}.dialog-key", POOL_KEY, files.SECRET)
        await managed.start(FE1, FE2, EDGE)
        await here.well()
        valkey.kill()
        name, fault = await here.only(Cause.STORE, hurts=2)
        assert (name, sorted(fault.hurts)) == (registrations_of(POOL), [FE1, FE2])
        assert "start the store" in fault.remedy
        valkey.start()
        await here.well()


@pytest.mark.wide
@pytest.mark.peer("valkey")
@on_loop
async def test_remedy_for_different_keys_of_a_pool_is_to_copy_one_of_them(
    managed: Managed, valkey: ValkeyServer
) -> None:
    """The store answers: to start it would change nothing."""
    here = ShownFaults(managed)
    async with managed:
        await managed.start(MGMT)
        await managed.publish(partial(with_valkey, managed, valkey), force=True)
        await managed.start(FE1, FE2, EDGE)
        await until(lambda: [fault.code for _, fault in here.faults()] == [Cause.STORE, Cause.STORE])
        for _, fault in here.faults():
            assert fault.remedy.startswith(f"copy state/{POOL}.dialog-key of one host to all others")
        await managed.stop(FE1, FE2)
        shutil.copy(*(managed.folder(name) / "state" / f"{POOL}.dialog-key" for name in (FE1, FE2)))
        await managed.start(FE1, FE2)
        await here.well()


@pytest.mark.wide
@pytest.mark.peer("postgresql")
@on_loop
async def test_stopped_postgresql_is_one_fault_of_the_management_database_until_it_runs(
    tmp_path: Path, postgres_url: str, cluster: Cluster
) -> None:
    """Users, versions, audit log and records of calls are in it; the servers go on with the users that they have."""
    organisation, entry = build_pool(tmp_path / "m")
    organisation.document["console"] = console_entry()
    pool = Pool.make(organisation, entry, tmp_path, f"{postgres_url}&connect_timeout=2")
    here = ShownFaults(pool.network)
    async with pool.network as network:
        await network.start(MGMT, FE1, FE2, EDGE)
        await network.publish(alone_with_all_in(Cluster.public(pool.url)), force=True)
        await here.well()
        cluster.stop()
        name, fault = await here.only(Cause.STORE)
        assert (name, fault.hurts) == (MANAGEMENT_DATABASE, (MGMT,))
        assert fault.remedy.startswith("start the database server")
        cluster.start()
        await here.well()


def alone_with_all_in(url: str) -> Change:
    """Remove the second management server, which does not run here, and keep all that management stores in one database."""

    def change(document: dict[str, Any]) -> None:
        del servers_of(document, MANAGERS)[1:]
        document["pools"] = [pool for pool in document["pools"] if pool["name"] not in {"pool2.example.test", BOT}]
        document["storage"] |= {"calls": url}
        document["call_records"] = {}

    return change
