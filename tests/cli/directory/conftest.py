"""A published version names a real OpenLDAP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.directory_ca import HOST, DirectoryCa
from support.directory_world import DirectoryWorld
from support.managed import Managed, build_managed
from support.openldap import OpenLdap, write_password


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[DirectoryWorld]:
    """A published version names the directory, which has carol and another alice."""
    ca = DirectoryCa()
    with OpenLdap(tmp_path / "l", ca.server(HOST)) as ldap:
        organisation = build_managed(tmp_path / "o")
        write_password(organisation.folder)
        ldap.person("carol", telephoneNumber=["+49 30 1", "(odd)"], displayName="Carol <b>")
        ldap.person("alice")
        organisation.document["directory"] = ldap.keys(**ca.write(organisation.folder))
        organisation.write()
        Managed(organisation, tmp_path)
        yield DirectoryWorld(organisation, ldap, ca)
