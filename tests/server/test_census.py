"""What management knows of every server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sipmesh.server.census import BEHIND_TOO_LONG, Census

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
EDGE, FE1 = "edge1.example.test", "fe1.example.test"


def test_a_server_that_stays_behind_is_told_of_once() -> None:
    census = Census()
    census.heard(FE1, {"number": 1}, NOON, newest=1)
    census.published(NOON + timedelta(seconds=1))
    census.heard(FE1, {"number": 1}, NOON + timedelta(seconds=5), newest=2)
    assert census.late(NOON + BEHIND_TOO_LONG) == []
    late = NOON + BEHIND_TOO_LONG + timedelta(seconds=1)
    assert [name for name, _ in census.late(late)] == [FE1]
    assert census.late(late) == []
    census.heard(FE1, {"number": 2}, late, newest=2)
    assert census.reports[FE1].behind_since is None
    assert census.holding(2) == {FE1}


def test_an_edge_is_not_heard_by_being_quoted() -> None:
    """Two front ends quote it: what it said last counts, whoever brings it later."""
    census = Census()
    census.heard(EDGE, {"number": 2, "ago_s": 1.0}, NOON, newest=2, by=FE1)
    census.heard(EDGE, {"number": 1, "ago_s": 40.0}, NOON, newest=2, by="fe2.example.test")
    report = census.reports[EDGE]
    assert (report.number, report.heard_at, report.by) == (2, NOON - timedelta(seconds=1), FE1)


def test_a_clock_is_compared_for_what_was_heard_from_the_server_itself() -> None:
    census = Census()
    ahead = {"number": 1, "at": (NOON + timedelta(seconds=7)).isoformat()}
    census.heard(FE1, ahead, NOON, newest=1)
    census.heard(EDGE, ahead, NOON, newest=1, by=FE1)
    assert census.reports[FE1].clock_s == 7.0
    assert census.reports[EDGE].clock_s is None
    for wrong in ("", "yesterday", "2026-11-24T12:00:00"):
        census.heard(FE1, {"at": wrong}, NOON + timedelta(seconds=1), newest=1)
        assert census.reports[FE1].clock_s is None


def test_nonsense_in_a_report_breaks_nothing() -> None:
    census = Census()
    census.heard(FE1, {"number": "many", "error": ["x"] * 1000}, NOON, newest=1)
    assert census.reports[FE1].number == 0
    assert len(census.reports[FE1].error) <= 500
