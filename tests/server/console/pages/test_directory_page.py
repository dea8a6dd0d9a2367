"""The page of the directory, with a real OpenLDAP: the last sync, what it could not take, and where a user comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
from yarl import URL

from sipmesh.demo.ports import HOST
from support.console import Visitor, management_with_console
from support.directory_ca import HOST as LDAP_HOST
from support.directory_ca import DirectoryCa
from support.following import settled
from support.managed import MGMT, Managed, build_managed
from support.model_ports import model_port
from support.openldap import PEOPLE, OpenLdap, write_password
from support.running import on_loop


def explained(user: str) -> URL:
    return URL("/directory").with_query(user=user)


@pytest.mark.peer("openldap")
@on_loop
async def test_users_of_the_directory_are_shown_with_their_entry_and_local_users_as_such(tmp_path: Path) -> None:
    ca, organisation = DirectoryCa(), build_managed(tmp_path / "o")
    with OpenLdap(tmp_path / "l", ca.server(LDAP_HOST)) as ldap:
        write_password(organisation.folder)
        dn, _ = ldap.person("carol"), ldap.person("bob")
        organisation.document["directory"] = ldap.keys(**ca.write(organisation.folder))
        organisation.document["console"] = {"listen": f"{HOST}:{model_port()}"}
        organisation.write()
        async with (
            Managed(organisation, tmp_path) as network,
            Visitor(network) as viewer,
        ):
            await network.start(MGMT)
            await settled(network)
            await viewer.log_in("viewer")
            page = (await viewer.get("/directory")).text
            assert ("1 of them" in page, "synced, but for the entries below" in page) == (False, True)
            assert ("bob@example.test" in page, "sipmesh directory adopt" in page) == (True, True)
            carol = (await viewer.get(explained("carol"))).text
            assert ("comes from uid=carol" in carol, "A sync changes nothing" in carol) == (True, True)
            assert "is a local user" in (await viewer.get(explained("alice"))).text
            assert "nobody@example.test is not a user" in (await viewer.get(explained("nobody"))).text
            assert "no usable entry" in (await viewer.get(explained("carol)(|(uid=*"))).text
            for user, origin in (("carol", f"uid=carol,{PEOPLE}"), ("alice", "here: a local user")):
                shown = (await viewer.get(f"/users/{user}%40example.test")).text
                assert (origin in shown, f"/directory?user={user}" in shown) == (True, user == "carol")
            found = (await viewer.get("/search?q=directory")).text
            assert (LDAP_HOST in found, 'href="/directory"' in found) == (True, True)
            assert "/directory?q=bob" in (await viewer.get("/search?q=bob")).text
            ldap.change(dn, pwdAccountLockedTime="000001010000Z")
            await settled(network)
            assert "disabled there" in (await viewer.get("/users/carol%40example.test")).text
            assert "1 of them without access" in (await viewer.get("/directory")).text
            ldap.stop()
            await settled(network, "cannot be reached")
            page = (await viewer.get("/directory")).text
            assert ("not synced: " in page, "Last sync" in page) == (True, True)
            refused = await viewer.get(explained("carol"))
            assert (refused.status, "cannot be reached" in refused.text) == (409, True)


@on_loop
async def test_network_without_a_directory_has_local_users(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as operator:
        await operator.log_in("operator")
        for path in ("/directory", "/directory?user=alice"):
            shown = await operator.get(path)
            assert (shown.status, "All users are local" in shown.text) == (200, True)
        assert 'href="/directory"' not in (await operator.get("/search?q=directory")).text.partition("<main")[2]
