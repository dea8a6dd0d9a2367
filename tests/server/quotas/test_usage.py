"""The counts of one principal, and of the server that sends its requests."""

from __future__ import annotations

import pytest

from sipmesh.cli.versions import built
from sipmesh.server.quotas.usage import NOBODY, Usage, UsageObserver, steps_among


@pytest.mark.parametrize(("branches", "octets", "full"), [(4, 99, False), (5, 0, True), (0, 100, True), (6, 101, True)])
def test_account_is_full_at_its_limit(branches: int, octets: int, *, full: bool) -> None:
    account = Usage("user", "sip:alice@example.test", 5, 100)
    account.add(branches, octets)
    assert account.full is full
    assert account.first_full() is (account if full else None)


def test_use_of_a_user_counts_for_its_server_too() -> None:
    server = Usage("server", "fe1.example.test", 10, 1_000)
    alice, bob = (Usage("user", name, 5, 100, server) for name in ("alice", "bob"))
    alice.add(4, 60)
    bob.add(4, 60)
    assert (server.branches, server.octets) == (8, 120)
    server.add(2, 0)
    assert alice.first_full() is server
    alice.add(1, 0)
    assert alice.first_full() is alice


def test_account_is_idle_when_nothing_is_counted() -> None:
    account = Usage("user", "alice", 5, 100)
    assert account.idle
    for change in ({"links": 1}, {"branches": 1}, {"octets": 1}):
        for name, value in change.items():
            setattr(account, name, value)
            assert not account.idle
            setattr(account, name, 0)
    account.add(1, 10)
    account.add(-1, -10)
    assert account.idle


def test_account_of_an_unknown_peer_is_full() -> None:
    assert NOBODY.full


def kept(steps: int, told: list[int]) -> UsageObserver:
    """An observer that keeps the branches that it gets."""

    class Kept(UsageObserver):
        def changed(self, account: Usage) -> None:
            told.append(account.branches_told)

    observer = Kept()
    observer.steps = steps
    return observer


@pytest.mark.skipif(built() == "compiled", reason="a compiled class has no subclass that is not")
@pytest.mark.parametrize("processes", [2, 8, 16, 64])
def test_unreported_use_of_a_process_is_half_of_a_limit_at_most(processes: int) -> None:
    """With steps of a sixteenth, a user had five shares at 64 workers."""
    most, untold = 1_000, 0
    for _ in range(processes):
        told, worst, account = [0], 0, Usage("user", "alice", most, 1 << 30)
        account.observer = kept(steps_among(processes), told)
        for _ in range(most):
            account.add(1, 0)
            worst = max(worst, account.branches - told[-1])
        untold += worst
    assert untold <= most / 2


def test_percent_is_that_of_the_limit_that_is_used_most_at_all_processes() -> None:
    account = Usage("partner", "partner.test", 200, 1000)
    assert account.percent == 0
    account.add(1, 0)
    assert account.percent == 1, "something is used"
    account.add(0, 300)
    assert account.percent == 30
    account.branches_elsewhere = 99
    assert account.percent == 50
    account.add(500, 0)
    assert account.percent == 100
