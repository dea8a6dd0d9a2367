"""A management host that was lost, restored elsewhere, and comes back: nothing that it does counts any more.

The host that comes back has all keys. It is real, as are the links; the control of each refusal is the restored host.
"""

from __future__ import annotations

import shutil

import pytest

from sipmesh.storage.management_db import ManagementDb
from support.giver import Giver
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2
from support.running import on_loop, until


@on_loop
async def test_host_that_comes_back_after_a_restore_changes_nothing(managed: Managed) -> None:
    lost = managed.where / "lost"
    async with managed:
        await managed.start(MGMT, FE1, EDGE)
        await managed.in_force(1)
        await managed.stop(MGMT)
        shutil.copytree(managed.folder(MGMT), lost)
        management_db = ManagementDb(managed.folder(MGMT))
        management_db.lease.jump(1000)
        management_db.close()
        await managed.start(MGMT)
        await managed.in_force(2, FE1, EDGE)
        await managed.stop(MGMT)
        shutil.move(managed.folder(MGMT), managed.where / "restored")
        shutil.move(lost, managed.folder(MGMT))
        await managed.start(MGMT)
        assert managed.number(MGMT) == 1
        assert (await managed.publish())["version"] == 2
        assert (await managed.publish())["version"] == 3
        await until(lambda: any("1000" in fault.what for fault in managed.master.network.status(3).members[0].faults))
        assert {managed.number(FE1), managed.number(EDGE)} == {2}


@pytest.mark.parametrize("server", [FE1, EDGE])
@on_loop
async def test_each_document_of_an_overtaken_leader_is_refused_over_tls(managed: Managed, server: str) -> None:
    async with managed:
        await managed.start(server)
        giver = await Giver.meet(managed._stack, managed, server, FE1 if server == EDGE else MGMT)
        versions = {led: managed.signed(managed.payload(10 + led), fencing=led) for led in (0, 4, 5)}
        assert (await giver.topology(versions[4])).status == 200
        await managed.in_force(14, server)
        await managed.stop(server)
        await managed.start(server)
        giver = await Giver.meet(managed._stack, managed, server, FE1 if server == EDGE else MGMT)
        later = managed.signed(managed.payload(20), fencing=3)
        assert (await giver.topology(later)).status == 488
        assert (await giver.topology(versions[5])).status == 200
        await managed.in_force(15, server)


@on_loop
async def test_server_that_has_just_joined_refuses_what_the_leader_before_has_signed(managed: Managed) -> None:
    """It has never met that leader: its grant has the number of the present one."""
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.in_force(1)
        await managed.stop(MGMT)
        management_db = ManagementDb(managed.folder(MGMT))
        management_db.lease.jump(1000)
        management_db.close()
        await managed.start(MGMT)
        await managed.in_force(2, FE1)
        await managed.stop(MGMT)
        await managed.start(FE2)
        giver = await Giver.meet(managed._stack, managed, FE2)
        for led in (0, 999):
            assert (await giver.topology(managed.signed(managed.payload(20 + led), fencing=led))).status == 488
        assert (await giver.topology(managed.signed(managed.payload(20), fencing=1000))).status == 200
        await managed.in_force(20, FE2)
