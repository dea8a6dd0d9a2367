"""`sipmesh directory explain`: both sides of a user."""

from __future__ import annotations

import pytest

from support.directory_world import DirectoryWorld
from support.openldap import PEOPLE

pytestmark = pytest.mark.peer("openldap")


def test_explain_shows_both_sides_and_a_name_is_no_filter(world: DirectoryWorld) -> None:
    world.type("directory", "apply")
    told = world.type("directory", "explain", "carol")
    assert (told.code, f"uid=carol,{PEOPLE}" in told.out, "A sync changes nothing" in told.out) == (0, True, True)
    assert world.type("directory", "explain", "alice").code == 1
    for name in ("*", "carol)(|(uid=*"):
        told = world.type("directory", "explain", name, "--json")
        assert (told.code, told.json["entries"], told.json["link"]) == (1, [], None)
    world.ldap.rename(f"uid=carol,{PEOPLE}", "caro")
    assert "rename" in world.type("directory", "explain", "carol").out
    world.ldap.delete(f"uid=caro,{PEOPLE}")
    assert "disable" in world.type("directory", "explain", "carol").out
