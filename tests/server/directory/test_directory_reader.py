"""The whole answer, with groups that decide the home pool."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.users.directory_entry import StepKind
from support.directory_world import DirectoryWorld
from support.network import POOL2
from support.openldap import SUFFIX

pytestmark = pytest.mark.peer("openldap")

LOCAL = {"alice", "bob"}


def test_groups_decide_the_home_pool_also_through_groups_in_a_loop(world: DirectoryWorld) -> None:
    carol, dave = world.ldap.person("carol"), world.ldap.person("dave")
    first = f"cn=first,ou=groups,{SUFFIX}"
    inner = world.ldap.group("inner", carol, first)
    assert world.ldap.group("first", inner) == first
    rules = {"pools": [{"group": first.upper(), "pool": POOL2}]}
    world.sync(more=rules)
    assert {name: user.pool for name, user in world.users().items() if name not in LOCAL} == {
        "carol": POOL2,
        "dave": None,
    }
    world.ldap.change(inner, member=[dave, first])
    assert dict(world.sync(more=rules).steps) == {StepKind.UPDATE: 1}
    assert world.users()["dave"].pool == POOL2
    world.ldap.delete(first)
    with pytest.raises(OperatorError, match="the directory has no group"):
        world.sync(more=rules)
