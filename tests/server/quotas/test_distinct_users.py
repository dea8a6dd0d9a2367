"""Different users of a partner: counted once each, within a limit, for an hour or two."""

from __future__ import annotations

from sipmesh.server.quotas.distinct_users import WINDOW_S, DistinctUsers

PARTNER, OTHER = "sip.partner.test", "sip.other.test"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_user_too_many_is_refused_and_those_before_are_not() -> None:
    users = DistinctUsers(3, Clock())
    assert [users.admits(PARTNER, name) for name in ("a", "b", "a", "c", "d", "b")] == [
        True,
        True,
        True,
        True,
        False,
        True,
    ]
    assert (users.count(PARTNER), users.count(OTHER)) == (3, 0)
    assert users.admits(OTHER, "d")


def test_user_who_is_addressed_again_counts_on_and_others_are_forgotten() -> None:
    clock = Clock()
    users = DistinctUsers(2, clock)
    assert users.admits(PARTNER, "a")
    assert users.admits(PARTNER, "b")
    clock.now += WINDOW_S
    assert users.admits(PARTNER, "a")
    assert not users.admits(PARTNER, "c")  # b counts still
    clock.now += WINDOW_S
    assert users.admits(PARTNER, "c")
    assert users.count(PARTNER) == 2
    clock.now += 2 * WINDOW_S
    assert users.admits(PARTNER, "d")
    assert users.count(PARTNER) == 1


def test_limit_of_none_admits_nobody() -> None:
    assert not DistinctUsers(0, Clock()).admits(PARTNER, "a")
