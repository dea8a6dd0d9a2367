"""Where a user is at home: here, in another pool, or nowhere."""

from __future__ import annotations

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.login.home_pools import HomePools
from sipmesh.storage.users import Users
from sipmesh.topology.view import view
from support.network import FE1, FE3, POOL, POOL2

ALICE, BOB, CAROL, NOBODY = (f"sip:{name}@example.test" for name in ("alice", "bob", "carol", "nobody"))


def homes(organisation: Organisation, server: str) -> tuple[HomePools, Users]:
    """What a server knows of homes, and the users behind it."""
    loaded = organisation.load()
    users = Users(loaded.users_url)
    users.refresh()
    return HomePools(users, view(loaded, server)), users


@pytest.mark.parametrize(("server", "ours", "theirs", "pool"), [(FE1, ALICE, BOB, POOL2), (FE3, BOB, ALICE, POOL)])
def test_user_is_proved_at_home_alone(
    two_pools_model: Organisation, server: str, ours: str, theirs: str, pool: str
) -> None:
    found, users = homes(two_pools_model, server)
    assert found.ready
    assert (found.elsewhere(ours), found.elsewhere(theirs)) == ("", pool)
    assert found.verifier(ours) is not None
    assert found.verifier(theirs) is None
    users.close()


def test_unknown_user_is_at_home_nowhere(two_pools_model: Organisation) -> None:
    found, users = homes(two_pools_model, FE1)
    assert (found.of(NOBODY), found.elsewhere(NOBODY), found.verifier(NOBODY)) == (None, "", None)
    users.close()


def test_user_without_a_home_is_where_the_topology_says(
    two_pools_model: Organisation, example_model: Organisation
) -> None:
    """With one pool it is that one; with two it is neither, unless the topology names one."""
    found, users = homes(two_pools_model, FE1)
    assert found.of(CAROL) != POOL2
    found.apply_view(view(example_model.load(), FE1))
    assert found.of(CAROL) == POOL
    assert found.verifier(CAROL) is not None
    users.close()
