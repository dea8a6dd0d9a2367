"""`sipmesh directory adopt`: local users who come from their entries from then on."""

from __future__ import annotations

import pytest

from support.directory_world import DirectoryWorld

pytestmark = pytest.mark.peer("openldap")


def test_adopt_takes_one_user_or_all_and_no_stranger(world: DirectoryWorld) -> None:
    assert world.type("directory", "adopt").code == 1
    assert world.type("directory", "adopt", "alice", "--all").code == 1
    assert "no usable entry" in world.type("directory", "adopt", "bob").err
    assert world.type("directory", "adopt", "alice").code == 0
    world.ldap.person("bob")
    assert "1 user adopted" in world.type("directory", "adopt", "--all").out
    assert world.type("directory", "plan", "--json").json["conflicts"] == []
