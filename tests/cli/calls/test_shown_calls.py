"""What an operator reads of a record."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from sipmesh.cli.calls.shown_calls import callee_of, caller_of, duration_of, outcome_of, show_calls
from sipmesh.storage.call_records.call_record import CallRecord
from support.recording import record, up

CALL = record()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (CALL, "200 answered"),
        (record(why="the link of bob has closed"), "200 answered; the link of bob has closed"),
        (record(method="MESSAGE", status=202, why=""), "202 message"),
        (up(), "up"),
        (record(status=486, why="Busy Here"), "486 Busy Here"),
        (
            record(status=488, why="media line 1", code="media-not-encrypted", reference="c7-1"),
            "488 media line 1 [media-not-encrypted], reference c7-1",
        ),
    ],
)
def test_outcome_says_why(call: CallRecord, told: str) -> None:
    assert outcome_of(call) == told


def test_parties_are_named_with_what_is_known_of_them() -> None:
    assert caller_of(CALL) == "alice@example.test"
    assert caller_of(record(withheld=True)) == "alice@example.test, withheld"
    assert caller_of(record(proof="partner sip.p.test")) == "alice@example.test (partner sip.p.test)"
    assert callee_of(CALL) == "bob@example.test"
    out = record(callee="+4917012345", answered_by="", trunk="sip.provider.test")
    assert callee_of(out) == "+4917012345, through the trunk sip.provider.test"
    alias = record(callee="sales@example.test", forwarded="x@example.test: user-busy")
    assert (
        callee_of(alias) == "sales@example.test, answered by bob@example.test, forwarded by x@example.test: user-busy"
    )


def test_duration_of_a_call_that_is_up_grows() -> None:
    call = up()
    assert call.answer is not None
    assert duration_of(call, call.answer + timedelta(minutes=4, seconds=10)) == "4 min 10 s"
    assert duration_of(CALL, CALL.start) == "10 s"
    assert not duration_of(record(seconds=None), CALL.start)


def test_table_says_its_day_and_its_zone(capsys: pytest.CaptureFixture[str]) -> None:
    show_calls([CALL], CALL.start.astimezone(UTC), "UTC", has_more=True)
    shown = capsys.readouterr().out
    assert "on 2026-11-30, times in UTC" in shown
    assert "13:05:00" in shown
    assert "Only the newest 1 record" in shown


def test_no_record_is_said_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    show_calls([], CALL.start, "UTC", has_more=False)
    assert capsys.readouterr().out == "No record of a call or message is found.\n"
