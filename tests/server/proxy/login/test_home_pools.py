"""The home pool of a user: this pool, another pool, or none."""

from __future__ import annotations

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.login.home_pools import HomePools
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.view import view
from support.network import FE1, FE3, POOL, POOL2

ALICE, BOB, CAROL, NOBODY = (f"sip:{name}@example.test" for name in ("alice", "bob", "carol", "nobody"))


def homes(organisation: Organisation, server: str) -> tuple[HomePools, Users]:
    """Return the home pools that a server knows, and the users behind them."""
    loaded = organisation.load()
    users = Users(loaded.users_url)
    users.refresh()
    return HomePools(users, view(loaded, server)), users


@pytest.mark.parametrize(("server", "ours", "theirs", "pool"), [(FE1, ALICE, BOB, POOL2), (FE3, BOB, ALICE, POOL)])
def test_user_can_log_in_only_at_its_home_pool(
    two_pools_model: Organisation, server: str, ours: str, theirs: str, pool: str
) -> None:
    found, users = homes(two_pools_model, server)
    assert found.ready
    assert (found.elsewhere(ours), found.elsewhere(theirs)) == ("", pool)
    assert found.verifier(ours) is not None
    assert found.verifier(theirs) is None
    users.close()


def test_unknown_user_has_no_home_pool(two_pools_model: Organisation) -> None:
    found, users = homes(two_pools_model, FE1)
    assert (found.of(NOBODY), found.elsewhere(NOBODY), found.verifier(NOBODY)) == (None, "", None)
    users.close()


def test_user_without_a_home_pool_gets_the_default_of_the_topology(
    two_pools_model: Organisation, example_model: Organisation
) -> None:
    """With one pool it is that pool; with two it is none, unless the topology names one."""
    found, users = homes(two_pools_model, FE1)
    assert found.of(CAROL) != POOL2
    found.apply_view(view(example_model.load(), FE1))
    assert found.of(CAROL) == POOL
    assert found.verifier(CAROL) is not None
    users.close()
