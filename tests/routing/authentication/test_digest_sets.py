"""Unknown names get the algorithms of users, as often as users have them."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2s

import pytest

from sipmesh.routing.authentication.digest_sets import (
    KIND_OF_NOBODY,
    NOBODY,
    DigestSets,
    Kind,
    is_names_key,
    name_hash,
    of_nobody,
)
from sipmesh.sip.digest import Algorithm

SHA, MD5 = Algorithm.SHA_256, Algorithm.MD5
BOTH, OLD, NEW = (SHA, MD5), (MD5,), (SHA,)
NAMES = [blake2s(b"%d" % number, key=b"k", digest_size=8).digest() for number in range(4_000)]


def of(algorithms: tuple[Algorithm, ...], pool: str = "pool1") -> Kind:
    return pool, algorithms


def counted(*users: tuple[tuple[Algorithm, ...], int]) -> DigestSets:
    sets = DigestSets()
    for algorithms, number in users:
        for _ in range(number):
            sets.change(None, of(algorithms))
    return sets


def drawn(sets: DigestSets) -> Counter[tuple[Algorithm, ...]]:
    return Counter(sets.alike(name)[1] for name in NAMES)


@pytest.mark.parametrize(
    "users", [((BOTH, 60),), ((OLD, 3),), ((BOTH, 90), (OLD, 10)), ((BOTH, 1), (OLD, 2), (NEW, 1))]
)
def test_unknown_names_have_the_sets_of_users_in_their_proportions(
    users: tuple[tuple[tuple[Algorithm, ...], int], ...],
) -> None:
    """A set that no user has would tell that a name is unknown, and a rare set that it is a user's."""
    found, total = drawn(counted(*users)), sum(number for _, number in users)
    assert found.keys() == dict(users).keys()
    for algorithms, number in users:
        assert abs(found[algorithms] / len(NAMES) - number / total) < 0.03


def test_one_more_user_changes_few_names() -> None:
    before, after = counted((BOTH, 90), (OLD, 10)), counted((BOTH, 90), (OLD, 11))
    changed = [name for name in NAMES if before.alike(name) != after.alike(name)]
    assert len(changed) < len(NAMES) / 50


def test_user_who_is_gone_or_has_another_password_counts_as_such() -> None:
    sets = counted((BOTH, 1), (OLD, 1))
    kept = sets.copy()
    sets.change(of(OLD), None)
    assert drawn(sets).keys() == {BOTH}
    sets.change(of(BOTH), of(NEW))
    assert drawn(sets).keys() == {NEW}
    assert drawn(kept).keys() == {BOTH, OLD}


def test_without_users_the_default_algorithms_are_offered() -> None:
    assert DigestSets().alike(bytes(8)) == KIND_OF_NOBODY == ("", BOTH)
    assert of_nobody(BOTH) == NOBODY


def test_pool_and_algorithms_are_those_of_one_user() -> None:
    """Pools may have users with different algorithms: a pair that no user has would tell."""
    sets = DigestSets({("pool1", OLD): 1, ("pool2", NEW): 3})
    found = Counter(sets.alike(name) for name in NAMES)
    assert found.keys() == {("pool1", OLD), ("pool2", NEW)}
    assert abs(found["pool1", OLD] / len(NAMES) - 1 / 4) < 0.03


def test_pools_that_learn_of_users_in_another_order_draw_the_same() -> None:
    one, other = DigestSets({("b", OLD): 2, ("a", NEW): 3}), DigestSets({("a", NEW): 3, ("b", OLD): 2, ("c", NEW): 0})
    assert [one.alike(name) for name in NAMES] == [other.alike(name) for name in NAMES]


def test_hash_of_a_name_depends_on_the_key_of_the_organisation() -> None:
    hashes = {name_hash(key * 64, name) for key in "ab" for name in ("sip:a@example.test", "sip:\udcff@example.test")}
    assert len(hashes) == 4
    assert name_hash("a" * 64, "sip:a@example.test") in hashes


@pytest.mark.parametrize("given", ["", "a" * 63, "A" * 64, "g" * 64, None, 7, b"a" * 64])
def test_only_64_digits_are_a_key(given: object) -> None:
    assert not is_names_key(given)
    assert is_names_key("0a" * 32)
