"""Deadlines of equal length: in order, each exactly once, and none that was discarded."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.server.proxy.timeout_queue import TimeoutQueue


@pytest.fixture(name="expiry")
def _expiry() -> TimeoutQueue[str]:
    """A queue of ten seconds."""
    return TimeoutQueue(10.0)


def expired_at(expiry: TimeoutQueue[str], now: float) -> list[str]:
    found = []
    while (thing := expiry.pop_expired(now)) is not None:
        found.append(thing)
    return found


@pytest.mark.parametrize(("now", "gone"), [(109.999, []), (110.0, ["a"])])
def test_item_expires_at_its_time_and_not_before(expiry: TimeoutQueue[str], now: float, gone: list[str]) -> None:
    expiry.add("a", 100.0)
    assert expired_at(expiry, now) == gone
    assert ("a" in expiry) is not bool(gone)


def test_expired_items_come_once_and_oldest_first(expiry: TimeoutQueue[str]) -> None:
    for age, thing in enumerate("abc"):
        expiry.add(thing, 100.0 + age)
    assert expired_at(expiry, 111.5) == ["a", "b"]
    assert expired_at(expiry, 111.5) == []
    assert len(expiry) == 1


def test_adding_again_restarts_the_time(expiry: TimeoutQueue[str]) -> None:
    """It goes to the end of the queue: otherwise it would hide expired items behind it."""
    expiry.add("a", 100.0)
    expiry.add("b", 101.0)
    expiry.add("a", 105.0)
    assert expired_at(expiry, 111.0) == ["b"]
    assert expired_at(expiry, 115.0) == ["a"]


def test_discarded_item_never_expires(expiry: TimeoutQueue[str]) -> None:
    expiry.add("a", 100.0)
    expiry.discard("a")
    expiry.discard("never held")
    assert expired_at(expiry, 1000.0) == []


def test_items_may_be_added_and_discarded_while_an_expired_one_is_handled(expiry: TimeoutQueue[str]) -> None:
    """A branch that times out ends its siblings, and starts the wait for the responses to their CANCEL."""
    for thing in "ab":
        expiry.add(thing, 100.0)
    assert expiry.pop_expired(110.0) == "a"
    expiry.discard("b")
    expiry.add("c", 110.0)
    assert expired_at(expiry, 110.0) == []
    assert expired_at(expiry, 120.0) == ["c"]


def test_expired_item_that_is_added_again_waits_its_whole_time(expiry: TimeoutQueue[str]) -> None:
    for thing in "abc":
        expiry.add(thing, 100.0)
    assert expiry.pop_expired(110.0) == "a"
    expiry.add("b", 110.0)
    assert expired_at(expiry, 110.0) == ["c"]
    assert expired_at(expiry, 120.0) == ["b"]


def test_each_item_is_looked_at_once(expiry: TimeoutQueue[str]) -> None:
    """Ten thousand deadlines may pass at once: looking for the first one again for each of them would take seconds."""
    looks = 0

    class Counting(dict[str, float]):
        def items(self) -> Any:
            nonlocal looks
            looks += len(self)
            return super().items()

    expiry._held = Counting()
    things = [str(number) for number in range(10_000)]
    for thing in things:
        expiry.add(thing, 100.0)
    assert expired_at(expiry, 110.0) == things
    assert looks == len(things)


def test_repr_shows_seconds_and_count(expiry: TimeoutQueue[str]) -> None:
    expiry.add("a", 100.0)
    assert repr(expiry) == "<TimeoutQueue 10.0 s holding 1>"
