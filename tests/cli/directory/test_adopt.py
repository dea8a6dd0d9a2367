"""`sipmesh directory adopt`: local users who come from their entries from then on."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.world import sipmesh
from support.directory_world import DirectoryWorld
from support.managed import Managed, build_managed


@pytest.mark.peer("openldap")
def test_adopt_takes_one_user_or_all_and_no_stranger(world: DirectoryWorld) -> None:
    assert world.type("directory", "adopt").code == 1
    assert world.type("directory", "adopt", "alice", "--all").code == 1
    assert "no usable entry" in world.type("directory", "adopt", "bob").err
    assert world.type("directory", "adopt", "alice").code == 0
    world.ldap.person("bob")
    assert "1 user adopted" in world.type("directory", "adopt", "--all").out
    assert world.type("directory", "plan", "--json").json["conflicts"] == []


def test_user_who_is_adopted_for_scim_comes_from_scim(tmp_path: Path) -> None:
    """An entry of SCIM has no distinguished name."""
    organisation = build_managed(tmp_path / "o")
    organisation.document["console"] = {"listen": "127.0.0.1:8444"}
    organisation.document["scim"] = {"tokens": [{"name": "entra", "token_sha256": "0" * 64}]}
    organisation.write()
    Managed(organisation, tmp_path)
    place = ("--topology", organisation.file)
    assert "alice@example.test comes from SCIM." in sipmesh("directory", "adopt", "alice", *place).out
    told = " ".join(sipmesh("directory", "explain", "alice", *place).out.split())
    assert told.startswith("SCIM has alice@example.test id ")
    assert "Here alice@example.test comes from SCIM, id " in told
