"""Nonces: each counts once and for a time, and to give one costs no memory."""

from __future__ import annotations

import pytest

from sipmesh.server.enrolment.acme import nonces as module
from sipmesh.server.enrolment.acme.nonces import LIFETIME_S, Nonces


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_nonce_counts_once_until_it_expires() -> None:
    clock = Clock()
    nonces = Nonces(clock)
    first, late, last = (nonces.new() for _ in range(3))
    assert [nonces.use(first), nonces.use(first)] == [True, False]
    clock.now += LIFETIME_S - 1
    assert nonces.use(last)
    clock.now += 1
    assert not nonces.use(late)


@pytest.mark.parametrize("given", ["", "AAAA", "=", None, 7, "é", "A" * 48])
def test_what_was_not_given_does_not_count(given: object) -> None:
    nonces = Nonces(Clock())
    assert not nonces.use(given)
    assert not nonces.use(Nonces(Clock()).new())
    assert nonces.use(nonces.new())


def test_too_many_used_nonces_end_the_oldest_second_and_no_fresh_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_USED", 2)
    clock = Clock()
    nonces = Nonces(clock)
    kept, *used = (nonces.new() for _ in range(3))
    clock.now += 1
    of_next_second = nonces.new()
    assert [nonces.use(one) for one in (*used, nonces.new())] == [True, True, True]
    assert not nonces.use(kept)
    assert nonces.use(of_next_second)
    assert not any(nonces.use(one) for one in (*used, of_next_second))


def test_used_nonces_are_forgotten_when_they_have_expired() -> None:
    clock = Clock()
    nonces = Nonces(clock)
    assert nonces.use(nonces.new())
    clock.now += LIFETIME_S
    assert nonces.use(nonces.new())
    assert nonces._count == 1
