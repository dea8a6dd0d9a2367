"""What management knows of every server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sipmesh.server.management.server_faults import BEHIND_TOO_LONG
from sipmesh.server.management.server_reports import SILENT_S, ServerReports
from sipmesh.server.replication.server_status import ServerStatus

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
EDGE, FE1, FE2 = "edge1.example.test", "fe1.example.test", "fe2.example.test"


def test_server_that_stays_behind_is_returned_once() -> None:
    reports = ServerReports()
    reports.record(FE1, ServerStatus(number=1), NOON, newest=1)
    reports.published(NOON + timedelta(seconds=1))
    reports.record(FE1, ServerStatus(number=1), NOON + timedelta(seconds=5), newest=2)
    assert reports.late(NOON + BEHIND_TOO_LONG, BEHIND_TOO_LONG) == []
    late = NOON + BEHIND_TOO_LONG + timedelta(seconds=1)
    assert [name for name, _ in reports.late(late, BEHIND_TOO_LONG)] == [FE1]
    assert reports.late(late, BEHIND_TOO_LONG) == []
    reports.record(FE1, ServerStatus(number=2), late, newest=2)
    assert reports.reports[FE1].behind_since is None
    assert reports.servers_with(2) == {FE1}


def test_forwarded_report_does_not_count_as_contact() -> None:
    """Two front ends relay it: the server's newest report counts, also if another relays it later."""
    reports = ServerReports()
    reports.record(EDGE, ServerStatus(number=2, ago_s=1.0), NOON, newest=2, by=FE1)
    reports.record(EDGE, ServerStatus(number=1, ago_s=40.0), NOON, newest=2, by=FE2)
    report = reports.reports[EDGE]
    assert (report.number, report.heard_at, report.by) == (2, NOON - timedelta(seconds=1), FE1)


def test_clock_is_compared_only_in_a_report_of_the_server_itself() -> None:
    reports = ServerReports()
    ahead = ServerStatus(number=1, at=NOON + timedelta(seconds=7))
    reports.record(FE1, ahead, NOON, newest=1)
    reports.record(EDGE, ahead, NOON, newest=1, by=FE1)
    assert reports.reports[FE1].clock_s == 7.0
    assert reports.reports[EDGE].clock_s is None
    reports.record(FE1, ServerStatus(number=1), NOON + timedelta(seconds=1), newest=1)
    assert reports.reports[FE1].clock_s is None


def test_clocks_are_those_of_fresh_reports_of_the_servers_themselves() -> None:
    """A report of before and a relayed report prove nothing. The age of a report does not follow a clock that is set."""
    now = [100.0]
    reports = ServerReports(steady=lambda: now[0])
    ahead = ServerStatus(number=1, at=NOON + timedelta(hours=1))
    reports.record(FE1, ahead, NOON, newest=1)
    reports.record(EDGE, ahead, NOON, newest=1, by=FE1)
    now[0] += SILENT_S
    reports.record(FE2, ahead, NOON + timedelta(days=9), newest=1)
    assert reports.clocks_s() == (3_600.0, (timedelta(hours=1) - timedelta(days=9)).total_seconds())
    assert reports.silent_s(reports.reports[FE1]) == SILENT_S
    now[0] += 1
    assert len(reports.clocks_s()) == 1


def test_unreadable_report_is_recorded_by_deliverer_until_a_good_one_arrives() -> None:
    reports = ServerReports()
    reports.unreadable(EDGE, "number: missing", by=FE1)
    reports.unreadable(EDGE, "links: no mapping", by=FE2)
    reports.record(EDGE, ServerStatus(number=1), NOON, newest=1, by=FE1)
    assert reports.misread == {EDGE: {FE2: "links: no mapping"}}
    reports.keep(frozenset({FE1, EDGE}))
    assert reports.misread == {}
