"""Unknown names get the algorithms of users, as often as users have them."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2s

import pytest

from sipmesh.routing.authentication.digest_sets import NOBODY, DigestSets, of_nobody
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.sip.digest import Algorithm

SHA, MD5 = Algorithm.SHA_256, Algorithm.MD5
BOTH, OLD, NEW = (SHA, MD5), (MD5,), (SHA,)
NAMES = [blake2s(b"%d" % number, key=b"k", digest_size=8).digest() for number in range(4_000)]


def of(algorithms: tuple[Algorithm, ...]) -> Verifier:
    return Verifier("sip:a@example.test", 1, dict.fromkeys(algorithms, "0"))


def counted(*users: tuple[tuple[Algorithm, ...], int]) -> DigestSets:
    sets = DigestSets()
    for algorithms, number in users:
        for _ in range(number):
            sets.change(None, of(algorithms))
    return sets


def drawn(sets: DigestSets) -> Counter[tuple[Algorithm, ...]]:
    return Counter(tuple(sets.alike(name)) for name in NAMES)


@pytest.mark.parametrize(
    "users", [((BOTH, 60),), ((OLD, 3),), ((BOTH, 90), (OLD, 10)), ((BOTH, 1), (OLD, 2), (NEW, 1))]
)
def test_unknown_names_have_the_sets_of_users_in_their_proportions(
    users: tuple[tuple[tuple[Algorithm, ...], int], ...],
) -> None:
    """A set that no user has would tell that a name is nobody's, and a rare one that it is somebody's."""
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
    assert DigestSets().alike(bytes(8)) == NOBODY == of_nobody(BOTH)
