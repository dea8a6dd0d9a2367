"""Requests of one address in a minute."""

from __future__ import annotations

import pytest

from sipmesh.server.process import request_rate
from sipmesh.server.process.request_rate import RequestRate


def test_address_has_its_number_of_requests_each_minute_and_others_do_not_notice() -> None:
    now = [0.0]
    rate = RequestRate(2, lambda: now[0])
    assert [rate.admits("a") for _ in range(3)] == [True, True, False]
    assert (rate.is_spent("a"), rate.is_spent("b"), rate.admits("b")) == (True, False, True)
    now[0] = 60.0
    assert (rate.is_spent("a"), rate.admits("a")) == (False, True)


def test_request_that_is_given_back_may_come_again() -> None:
    """Not in a later window, which has not counted it."""
    now = [0.0]
    rate = RequestRate(2, lambda: now[0])
    assert [rate.admits("a") for _ in range(3)] == [True, True, False]
    rate.give_back("a")
    assert [rate.admits("a") for _ in range(2)] == [True, False]
    now[0] = 60.0
    rate.give_back("a")
    assert [rate.admits("a") for _ in range(3)] == [True, True, False]


def test_address_whose_requests_are_all_given_back_leaves_its_place_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_rate, "MOST_ADDRESSES", 1)
    rate = RequestRate(5, lambda: 0.0)
    assert (rate.admits("a"), rate.admits("b")) == (True, False)
    rate.give_back("a")
    assert rate.admits("b")


def test_table_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_rate, "MOST_ADDRESSES", 2)
    now = [0.0]
    rate = RequestRate(5, lambda: now[0])
    assert [rate.admits(address) for address in ("a", "b", "c", "a")] == [True, True, False, True]
    now[0] = 61.0
    assert rate.admits("c")
