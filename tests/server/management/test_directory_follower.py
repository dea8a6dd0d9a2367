"""A management server that follows a real OpenLDAP: phones are out and in, and faults are shown."""

from __future__ import annotations

import time
from pathlib import Path
from unittest import mock

import pytest

from support.directory_ca import HOST, DirectoryCa
from support.figures import ask_for_figures, figures, figures_with, labelled
from support.following import PROMISED_S, settled
from support.managed import MGMT, Managed, build_managed
from support.network import FE1
from support.openldap import PEOPLE, OpenLdap, write_password
from support.running import on_loop

pytestmark = pytest.mark.peer("openldap")


@pytest.mark.wide
@on_loop
async def test_phone_is_out_when_its_entry_is_gone_and_in_again_with_it(tmp_path: Path) -> None:
    """Alice is a local user who is adopted: her phone stays on its link. Then her entry is locked and unlocked."""
    ca, organisation = DirectoryCa(), build_managed(tmp_path / "o")
    with OpenLdap(tmp_path / "l", ca.server(HOST)) as ldap:
        write_password(organisation.folder)
        ldap.person("bob")
        dn = ldap.person("alice")
        organisation.document["directory"] = ldap.keys(**ca.write(organisation.folder))
        organisation.write()
        async with Managed(organisation, tmp_path) as network:
            await network.start(MGMT, FE1)
            phone = await network.agent("alice", FE1)
            await settled(network)
            assert len(network.master.directory.report.conflicts) == 2
            assert "is a local user" in str(network.master.own_faults.of_pool())
            assert "2 users adopted" in await network.type("directory", "adopt", "--all")
            await settled(network)
            assert (await phone.register()).status == 200
            assert network.master.own_faults.of_pool() == []
            began = time.monotonic()
            ldap.change(dn, pwdAccountLockedTime="000001010000Z")
            await settled(network)
            await phone.gone()
            assert time.monotonic() - began < PROMISED_S
            ldap.change(dn, pwdAccountLockedTime=None)
            await settled(network)
            again = await network.agent("alice", FE1)
            assert (await again.register()).status == 200
            ldap.stop()
            await settled(network, "cannot be reached")
            assert "the directory is not synced" in str(network.master.own_faults.of_pool())
            assert (await again.register()).status == 200
            assert "Not synced" in await network.type("directory", "status", code=1)
            ldap.start()
            await settled(network)
            assert "2 users from the directory, 0 of them" in await network.type("directory", "status")
            assert network.told[MGMT].events("directory is synced again")


@on_loop
async def test_many_losses_are_a_fault_until_they_are_accepted(tmp_path: Path) -> None:
    ca, organisation = DirectoryCa(), build_managed(tmp_path / "o")
    with OpenLdap(tmp_path / "l", ca.server(HOST)) as ldap:
        write_password(organisation.folder)
        for n in range(5):
            ldap.person(f"u{n}")
        organisation.document["directory"] = ldap.keys(**ca.write(organisation.folder))
        port = ask_for_figures(organisation, MGMT)
        organisation.write()
        async with Managed(organisation, tmp_path) as network:
            await network.start(MGMT)
            await settled(network)
            for n in range(2):
                ldap.delete(f"uid=u{n},{PEOPLE}")
            await settled(network, "2 of 5 users would lose their access")
            found = await figures(port)
            assert found[labelled("sipmesh_directory_not_synced")] == 1
            assert found[labelled("sipmesh_directory_users", access="yes")] == 5
            (fault,) = network.master.own_faults.of_pool()
            assert "sipmesh directory apply --accept-loss" in fault.what
            assert "Refused" in await network.type("directory", "plan", code=1)
            await network.type("directory", "apply", code=1)
            assert "2 disable" in await network.type("directory", "apply", "--accept-loss")
            await settled(network)
            assert network.master.directory.report.ended == 2
            found = await figures_with(port, lambda found: not found[labelled("sipmesh_directory_not_synced")])
            assert found[labelled("sipmesh_directory_users", access="no")] == 2


@on_loop
async def test_server_that_does_not_lead_syncs_nothing(tmp_path: Path) -> None:
    ca, organisation = DirectoryCa(), build_managed(tmp_path / "o")
    with OpenLdap(tmp_path / "l", ca.server(HOST)) as ldap:
        write_password(organisation.folder)
        ldap.person("carol")
        organisation.document["directory"] = ldap.keys(**ca.write(organisation.folder))
        organisation.write()
        async with Managed(organisation, tmp_path) as network:
            with mock.patch("sipmesh.server.management.directory_follower.EVERY_S", 0.0):
                await network.start(MGMT)
                follower = network.master.directory
                await settled(network)
                task = follower._task
                follower._leads = lambda: False
                follower.tick()
                assert follower._task is task
