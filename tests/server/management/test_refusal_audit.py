"""One line an hour for each server, with the number of refusals without a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.server.management.refusal_audit import EVERY, LONGEST_REASON, RefusalAudit, RefusalLine

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("late", "told"), [(EVERY - SECOND, None), (EVERY, RefusalLine("last", 400))])
def test_server_with_changing_reasons_has_one_line_an_hour(late: timedelta, told: RefusalLine | None) -> None:
    refusals = RefusalAudit()
    assert refusals.line("fe1", "first", NOON) == RefusalLine("first")
    assert [refusals.line("fe1", f"reason {number}", NOON + SECOND) for number in range(400)] == [None] * 400
    assert refusals.line("fe1", "last", NOON + late) == told


def test_another_server_has_its_line_at_once() -> None:
    refusals = RefusalAudit()
    refusals.line("fe1", "refused", NOON)
    assert refusals.line("fe2", "refused", NOON) == RefusalLine("refused")


def test_reason_is_cut() -> None:
    told = RefusalAudit().line("fe1", "x" * 100_000, NOON)
    assert told == RefusalLine("x" * LONGEST_REASON)


def test_line_of_the_audit_log_counts_refusals_only_where_there_are_some() -> None:
    assert RefusalLine("why").about() == {"refused": "why"}
    assert RefusalLine("why", 2).about() == {"refused": "why", "again": 2}
