"""The home pool of a user: this pool, another pool, or none."""

from __future__ import annotations

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.in_force.home_pools import HomePools
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.watching import Watching
from sipmesh.topology.view import view
from support.network import FE1, FE3, POOL, POOL2, Network

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
    assert found.account_of(ours) == users.get(ours).created.timestamp() * 1e6
    assert found.account_of(NOBODY) == 0
    assert found.unknown(frozenset({ours, theirs, NOBODY})) == {NOBODY}
    users.close()


def test_user_of_a_pool_that_was_taken_over_can_log_in_here_until_it_is_given_back(
    two_pools_model: Organisation,
) -> None:
    found, users = homes(two_pools_model, FE3)
    here, found = found, found.taking_over(frozenset({POOL}))
    assert (found.of(ALICE), found.named(ALICE), found.elsewhere(ALICE)) == (POOL2, POOL, "")
    assert found.verifier(ALICE) is not None
    assert [found.is_guest(user) for user in (ALICE, BOB, NOBODY)] == [True, False, False]
    assert [found.may_serve(pool, ALICE) for pool in (POOL, POOL2)] == [True, False]  # no backup pool in this topology
    assert (here.of(ALICE), here.verifier(ALICE)) == (POOL, None)
    users.close()


def test_user_with_a_rule_that_hides_something_blocks_a_watcher(two_pools: Network) -> None:
    """In a copy: the model has no rules, and all tests share it."""
    found, users = homes(two_pools.organisations[0], FE3)
    for rule, blocks in ((None, False), (Watching.ALLOW, False), (Watching.POLITE_BLOCK, True), (Watching.BLOCK, True)):
        if rule is not None:
            users.set_watcher("bob@example.test", "alice", rule)
            users.refresh()
        assert found.blocks_somebody(BOB) is blocks
    assert not found.blocks_somebody(NOBODY)
    users.close()


def test_unknown_user_has_no_home_pool(two_pools_model: Organisation) -> None:
    found, users = homes(two_pools_model, FE1)
    assert (found.of(NOBODY), found.elsewhere(NOBODY), found.verifier(NOBODY)) == (None, "", None)
    users.close()


def test_unknown_name_is_challenged_as_a_user_by_the_key_of_the_organisation_or_of_the_pool(
    two_pools_model: Organisation,
) -> None:
    """Front ends of both pools give the same, and real users have their own."""
    asked: list[str] = []

    def by_the_pool(aor: str) -> bytes:
        asked.append(aor)
        return bytes(8)

    (one, users), (other, others) = homes(two_pools_model, FE1), homes(two_pools_model, FE3)
    names = [ALICE, BOB, *(f"sip:nobody{number}@example.test" for number in range(20))]
    kinds = [one.challenged_as(aor, by_the_pool) for aor in names]
    assert kinds == [other.challenged_as(aor, by_the_pool) for aor in names]
    assert [home for home, _ in kinds[:2]] == [POOL, POOL2]
    assert {POOL, POOL2} <= {home for home, _ in kinds[2:]}
    assert not asked
    assert one.taking_over(frozenset({POOL2})).challenged_as(BOB, by_the_pool)[0] == POOL
    users._known.names_key = ""
    assert one.challenged_as(NOBODY, by_the_pool) == one.challenged_as("sip:x@example.test", by_the_pool)
    assert asked == [NOBODY, "sip:x@example.test"]
    users.close()
    others.close()


def test_user_without_a_home_pool_gets_the_default_of_the_topology(
    two_pools_model: Organisation, example_model: Organisation
) -> None:
    """With one pool it is that pool; with two it is none, unless the topology names one."""
    found, users = homes(two_pools_model, FE1)
    assert found.of(CAROL) != POOL2
    found = HomePools(users, view(example_model.load(), FE1))
    assert found.of(CAROL) == POOL
    assert found.verifier(CAROL) is not None
    users.close()
