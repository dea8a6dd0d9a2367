"""The thread renews a lease when a claim is late, and not for a loop that hangs."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from sipmesh.database.connection import Database
from sipmesh.database.lease import LEASE_S, Lease
from sipmesh.server.management.pool.lease_renewal import LATE_S, LONGEST_TURN_S, LOOK_EVERY_S, LeaseRenewal

NAME = "mgmt1.example.test"


@pytest.fixture(name="renewal")
def _renewal(tmp_path: Path) -> LeaseRenewal:
    return LeaseRenewal(Lease(Database(tmp_path / "x.db", "things"), NAME))


@pytest.mark.parametrize(
    ("after_s", "is_due"),
    [(0, False), (LATE_S - 0.01, False), (LATE_S, True), (LONGEST_TURN_S - 0.01, True), (LONGEST_TURN_S, False)],
)
def test_renewal_is_due_while_a_claim_is_late_and_the_loop_does_not_hang(
    renewal: LeaseRenewal, after_s: float, *, is_due: bool
) -> None:
    at = time.monotonic()
    renewal.claimed(at)
    assert renewal.is_due(at + after_s) is is_due


def test_lease_is_renewed_before_it_ends() -> None:
    assert LATE_S + 2 * LOOK_EVERY_S < LEASE_S


def test_thread_ends_on_order(renewal: LeaseRenewal) -> None:
    before = set(threading.enumerate())
    renewal.start()
    (thread,) = set(threading.enumerate()) - before
    renewal.stop()
    thread.join(10 * LOOK_EVERY_S)
    assert not thread.is_alive()
