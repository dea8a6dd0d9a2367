"""What management knows of every server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sipmesh.server.management.server_faults import BEHIND_TOO_LONG
from sipmesh.server.management.server_reports import Census
from sipmesh.server.replication.server_status import ServerStatus

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
EDGE, FE1, FE2 = "edge1.example.test", "fe1.example.test", "fe2.example.test"


def test_a_server_that_stays_behind_is_told_of_once() -> None:
    census = Census()
    census.heard(FE1, ServerStatus(number=1), NOON, newest=1)
    census.published(NOON + timedelta(seconds=1))
    census.heard(FE1, ServerStatus(number=1), NOON + timedelta(seconds=5), newest=2)
    assert census.late(NOON + BEHIND_TOO_LONG) == []
    late = NOON + BEHIND_TOO_LONG + timedelta(seconds=1)
    assert [name for name, _ in census.late(late)] == [FE1]
    assert census.late(late) == []
    census.heard(FE1, ServerStatus(number=2), late, newest=2)
    assert census.reports[FE1].behind_since is None
    assert census.holding(2) == {FE1}


def test_forwarded_report_does_not_count_as_contact() -> None:
    """Two front ends quote it: what it said last counts, whoever brings it later."""
    census = Census()
    census.heard(EDGE, ServerStatus(number=2, ago_s=1.0), NOON, newest=2, by=FE1)
    census.heard(EDGE, ServerStatus(number=1, ago_s=40.0), NOON, newest=2, by=FE2)
    report = census.reports[EDGE]
    assert (report.number, report.heard_at, report.by) == (2, NOON - timedelta(seconds=1), FE1)


def test_a_clock_is_compared_for_what_was_heard_from_the_server_itself() -> None:
    census = Census()
    ahead = ServerStatus(number=1, at=NOON + timedelta(seconds=7))
    census.heard(FE1, ahead, NOON, newest=1)
    census.heard(EDGE, ahead, NOON, newest=1, by=FE1)
    assert census.reports[FE1].clock_s == 7.0
    assert census.reports[EDGE].clock_s is None
    census.heard(FE1, ServerStatus(number=1), NOON + timedelta(seconds=1), newest=1)
    assert census.reports[FE1].clock_s is None


def test_report_that_cannot_be_read_is_noted_for_each_bringer_until_a_good_one_comes() -> None:
    census = Census()
    census.unreadable(EDGE, "number: missing", by=FE1)
    census.unreadable(EDGE, "links: no mapping", by=FE2)
    census.heard(EDGE, ServerStatus(number=1), NOON, newest=1, by=FE1)
    assert census.misread == {EDGE: {FE2: "links: no mapping"}}
    census.keep(frozenset({FE1, EDGE}))
    assert census.misread == {}
