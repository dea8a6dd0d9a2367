"""The counts of one principal, and of the server that sends its requests."""

from __future__ import annotations

import pytest

from sipmesh.server.quotas.usage import NOBODY, Usage


@pytest.mark.parametrize(("branches", "octets", "full"), [(4, 99, False), (5, 0, True), (0, 100, True), (6, 101, True)])
def test_account_is_full_at_its_limit(branches: int, octets: int, *, full: bool) -> None:
    account = Usage("user", "sip:alice@example.test", 5, 100)
    account.add(branches, octets)
    assert account.full is full
    assert account.first_full() is (account if full else None)


def test_use_of_a_user_counts_for_its_server_as_well() -> None:
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
