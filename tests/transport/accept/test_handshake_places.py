"""Places for handshakes: only a slow connection gives way, and only where its place is needed."""

from __future__ import annotations

import pytest

from sipmesh.transport.accept.handshake_places import HandshakePlaces
from sipmesh.transport.limits import Limits

LIMITS = Limits(silent_per_address=2, silent_in_all=4, handshakes_per_address=3, handshakes_in_flight=6)


class Connection:
    """A handshake that is slow from an instant on, and remembers whether it gave way."""

    def __init__(self, slow_at: float = 1e9) -> None:
        self.slow_at, self.is_closed = slow_at, False

    def is_slow(self, now: float) -> bool:
        return now >= self.slow_at

    def give_way(self) -> None:
        self.is_closed = True

    def close(self, _why: str) -> None:
        self.is_closed = True


def places(*, silent: str = "", shaking: str = "", slow_at: float = 1e9) -> tuple[HandshakePlaces, list[Connection]]:
    """Places that are taken by connections of addresses of one letter each."""
    made, taken = HandshakePlaces(LIMITS), list[Connection]()
    for budget, sites in ((made.silent, silent), (made.shaking, shaking)):
        for site in sites:
            taken.append(Connection(slow_at))
            budget.add(site, taken[-1])
    return made, taken


@pytest.mark.parametrize(
    ("silent", "shaking", "free"),
    [
        ("", "", True),
        ("a", "", True),
        ("aa", "", False),
        ("a", "a", True),
        ("a", "aa", False),
        ("", "aaa", False),
        ("bbcc", "", False),
        ("bbc", "cc", True),
        ("b", "bbccc", False),
    ],
)
def test_active_connections_keep_their_places(silent: str, shaking: str, *, free: bool) -> None:
    """At each limit the newcomer waits, and one before it gets in."""
    held, taken = places(silent=silent, shaking=shaking)
    assert held.make("a", 1.0) is free
    assert not any(one.is_closed for one in taken)


@pytest.mark.parametrize(
    ("silent", "shaking", "closed"), [("aa", "", 0), ("a", "aa", 0), ("", "aaa", 0), ("bbcc", "", 0), ("b", "bbccc", 0)]
)
def test_oldest_slow_connection_gives_way(silent: str, shaking: str, closed: int) -> None:
    held, taken = places(silent=silent, shaking=shaking, slow_at=2.0)
    assert not held.make("a", 1.9)
    assert held.make("a", 2.0)
    assert [number for number, one in enumerate(taken) if one.is_closed] == [closed]


def test_slow_connection_of_another_address_stays_while_there_is_room_for_all() -> None:
    held, taken = places(silent="aa", shaking="b", slow_at=1e9)
    taken[2].slow_at = 0.0
    assert not held.make("a", 1.0)
    assert not taken[2].is_closed


@pytest.mark.parametrize(("now", "stalled"), [(5.0, True), (5.0 + 2 * LIMITS.slow_s + 0.1, False)])
def test_address_that_lost_a_slow_connection_is_stalled_for_a_while(now: float, *, stalled: bool) -> None:
    held, _ = places(silent="aa", slow_at=2.0)
    assert held.make("a", 5.0)
    assert (held.is_stalled("a", now), held.is_stalled("b", now)) == (stalled, False)


def test_descriptor_comes_from_a_slow_silent_connection_only() -> None:
    held, taken = places(silent="a", shaking="b", slow_at=2.0)
    assert (held.displace_silent(1.0), held.displace_silent(2.0), held.displace_silent(2.0)) == (False, True, False)
    assert [one.is_closed for one in taken] == [True, False]
    assert (len(held), held.of("b")) == (1, 1)


def test_patience_grows_with_the_pace_of_all_and_not_beyond_its_bound() -> None:
    """Where each handshake takes four seconds, a peer that takes five is not slow."""
    held, _ = places()
    assert held.patience(1.5) == 1.5
    for _ in range(200):
        held.finished(4.0)
    assert held.patience(1.5) == pytest.approx(16.0, abs=0.1)
    for _ in range(200):
        held.finished(1e6)
    assert held.patience(1.5) == pytest.approx(4 * LIMITS.handshake_s, abs=0.1)


def test_slow_connections_are_looked_for_now_and_then_only() -> None:
    """Each handshake that ends asks for a place for those who wait."""
    held, taken = places(silent="bbcc")
    assert not held.is_open(1.0)
    for one in taken:
        one.slow_at = 0.0
    assert (held.is_open(1.04), held.is_open(1.06), held.is_open(1.06)) == (False, True, True)
    assert [one.is_closed for one in taken] == [True, False, False, False]
