"""Deadlines of equal length: in order, each exactly once, and none that was discarded."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.timeout_queue import TimeoutQueue


@pytest.fixture(name="expired")
def _expired() -> list[str]:
    return []


@pytest.fixture(name="expiry")
def _expiry(expired: list[str]) -> TimeoutQueue[str]:
    """A queue of ten seconds."""
    return TimeoutQueue(10.0, expired.append)


@pytest.mark.parametrize(("now", "gone"), [(109.999, []), (110.0, ["a"])])
def test_item_expires_at_its_time_and_not_before(
    expiry: TimeoutQueue[str], expired: list[str], now: float, gone: list[str]
) -> None:
    expiry.add("a", 100.0)
    expiry.sweep(now)
    assert expired == gone
    assert ("a" in expiry) is not bool(gone)


def test_expired_items_come_once_and_oldest_first(expiry: TimeoutQueue[str], expired: list[str]) -> None:
    for age, thing in enumerate("abc"):
        expiry.add(thing, 100.0 + age)
    expiry.sweep(111.5)
    expiry.sweep(111.5)
    assert expired == ["a", "b"]
    assert len(expiry) == 1


def test_adding_again_restarts_the_time(expiry: TimeoutQueue[str], expired: list[str]) -> None:
    """It goes to the end of the queue: otherwise it would hide expired items behind it."""
    expiry.add("a", 100.0)
    expiry.add("b", 101.0)
    expiry.add("a", 105.0)
    expiry.sweep(111.0)
    assert expired == ["b"]
    expiry.sweep(115.0)
    assert expired == ["b", "a"]


def test_discarded_item_never_expires(expiry: TimeoutQueue[str], expired: list[str]) -> None:
    expiry.add("a", 100.0)
    expiry.discard("a")
    expiry.discard("never held")
    expiry.sweep(1000.0)
    assert expired == []


def test_expired_callback_may_add_and_discard_items() -> None:
    """A branch that times out ends its siblings, and starts the wait for the responses to their CANCEL."""
    expired: list[str] = []

    def take(thing: str) -> None:
        expired.append(thing)
        expiry.discard("b")
        if thing == "a":
            expiry.add("c", 110.0)

    expiry: TimeoutQueue[str] = TimeoutQueue(10.0, take)
    for thing in "ab":
        expiry.add(thing, 100.0)
    expiry.sweep(110.0)
    assert expired == ["a"]
    expiry.sweep(120.0)
    assert expired == ["a", "c"]


def test_repr_shows_seconds_and_count(expiry: TimeoutQueue[str]) -> None:
    expiry.add("a", 100.0)
    assert repr(expiry) == "<TimeoutQueue 10.0 s holding 1>"
