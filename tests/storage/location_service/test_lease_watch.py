"""Leases: a server that has stopped renewing while we renew is gone; no clock of any machine is asked."""

from __future__ import annotations

from sipmesh.storage.location_service.lease_watch import MOST_MISSED, LeaseWatch
from storage.members import FE1, FE2


def test_lease_ends_after_so_many_renewals_of_ours_and_not_one_earlier() -> None:
    watch = LeaseWatch(FE1)
    watch.renewed({FE1: (1, 0), FE2: (3, 17)})
    for number in range(1, MOST_MISSED):
        assert watch.renewed({FE1: (1, number), FE2: (3, 17)}) == []
    assert watch.renewed({FE1: (1, MOST_MISSED), FE2: (3, 17)}) == [(FE2, 3)]


def test_server_that_renews_now_and_then_keeps_its_lease() -> None:
    watch = LeaseWatch(FE1)
    for number in range(10 * MOST_MISSED):
        assert watch.renewed({FE2: (3, number // (MOST_MISSED - 1))}) == []


def test_server_that_was_started_again_begins_from_nothing() -> None:
    watch = LeaseWatch(FE1)
    for incarnation in (3, 4):
        for _ in range(MOST_MISSED):
            assert watch.renewed({FE2: (incarnation, 0)}) == []
    assert watch.renewed({FE2: (4, 0)}) == [(FE2, 4)]


def test_our_own_lease_is_others_to_watch() -> None:
    watch = LeaseWatch(FE1)
    assert [watch.renewed({FE1: (1, 5)}) for _ in range(2 * MOST_MISSED)] == [[]] * (2 * MOST_MISSED)


def test_server_that_is_gone_from_the_store_is_forgotten() -> None:
    watch = LeaseWatch(FE1)
    for _ in range(MOST_MISSED):
        watch.renewed({FE2: (3, 0)})
    watch.renewed({})
    assert watch.renewed({FE2: (3, 0)}) == []
