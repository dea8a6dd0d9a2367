"""Different users of a partner: counted once each, within a limit, for an hour or two."""

from __future__ import annotations

import pytest

from sipmesh.cli.versions import built
from sipmesh.server.quotas.distinct_users import WINDOW_S, DistinctUsers
from sipmesh.server.quotas.usage import UsageObserver

ERIN, FRANK = "sip:erin@partner.test", "sip:frank@partner.test"
PARTNER, OTHER = "sip.partner.test", "sip.other.test"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_user_too_many_is_refused_and_those_before_are_not() -> None:
    users = DistinctUsers(3, 9, Clock())
    assert [users.admits(PARTNER, ERIN, name) for name in ("a", "b", "a", "c", "d", "b")] == [
        True,
        True,
        True,
        True,
        False,
        True,
    ]
    assert (users.count(PARTNER), users.count(OTHER)) == (3, 0)
    assert users.admits(OTHER, ERIN, "d")


def test_user_who_is_addressed_again_counts_on_and_others_are_forgotten() -> None:
    clock = Clock()
    users = DistinctUsers(2, 9, clock)
    assert users.admits(PARTNER, ERIN, "a")
    assert users.admits(PARTNER, ERIN, "b")
    clock.now += WINDOW_S
    assert users.admits(PARTNER, ERIN, "a")
    assert not users.admits(PARTNER, ERIN, "c")  # b counts still
    clock.now += WINDOW_S
    assert users.admits(PARTNER, ERIN, "c")
    assert users.count(PARTNER) == 2
    clock.now += 2 * WINDOW_S
    assert users.admits(PARTNER, ERIN, "d")
    assert users.count(PARTNER) == 1


class Other(UsageObserver):
    """The other process, which counts the same *users*."""

    users: DistinctUsers

    def addressed(self, partner: str, finder: int, user: int) -> None:
        """Count a user there."""
        self.users.addressed_elsewhere(partner, finder, user)


@pytest.mark.skipif(built() == "compiled", reason="a compiled class has no subclass that is not")
def test_users_of_all_processes_count_together() -> None:
    """A user who is addressed at both counts once. Each sender has its share over both."""
    of_one, of_two = Other(), Other()
    one, two = DistinctUsers(3, 2, Clock(), of_one), DistinctUsers(3, 2, Clock(), of_two)
    of_one.users, of_two.users = two, one
    assert [one.admits(PARTNER, ERIN, "a"), two.admits(PARTNER, ERIN, "a"), two.admits(PARTNER, ERIN, "b")] == [
        True
    ] * 3
    assert not one.admits(PARTNER, ERIN, "c")
    assert one.admits(PARTNER, FRANK, "c")
    assert [users.admits(PARTNER, FRANK, "d") for users in (one, two)] == [False, False]
    assert [users.admits(PARTNER, FRANK, "a") for users in (one, two)] == [True, True]
    assert (one.count(PARTNER), two.count(PARTNER), two.count(OTHER)) == (3, 3, 0)


def test_limit_of_none_admits_no_user() -> None:
    assert not DistinctUsers(0, 9, Clock()).admits(PARTNER, ERIN, "a")


def test_sender_with_its_share_leaves_the_rest_to_others() -> None:
    """What another sender has found is open to both; the spelling of a name makes no other sender."""
    clock = Clock()
    users = DistinctUsers(4, 2, clock)
    spellings = (ERIN, "sip:Erin@partner.test", ERIN)
    assert [users.admits(PARTNER, sender, name) for sender, name in zip(spellings, "abc", strict=True)] == [
        True,
        True,
        False,
    ]
    assert [users.admits(PARTNER, FRANK, name) for name in "acd"] == [True, True, True]
    assert users.admits(PARTNER, ERIN, "c")
    clock.now += WINDOW_S
    for name in "abcd":
        assert users.admits(PARTNER, FRANK, name)
    assert not users.admits(PARTNER, ERIN, "e")  # four count still, in all
    clock.now += WINDOW_S * 2
    assert users.admits(PARTNER, ERIN, "e")
