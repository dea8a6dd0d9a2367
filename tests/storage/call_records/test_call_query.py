"""Which records a question is about."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sipmesh.storage.call_records.call_query import CallQuery
from support.recording import record, up

CALL = record(reference="s3-7")


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        (CallQuery(), True),
        (CallQuery(names=frozenset({"bob@example.test"})), True),
        (CallQuery(names=frozenset({"example.test"})), True),
        (CallQuery(names=frozenset({"bob@example.testing"})), False),
        (CallQuery(since=CALL.start), True),
        (CallQuery(since=CALL.start + timedelta(microseconds=1)), False),
        (CallQuery(until=CALL.start), False),
        (CallQuery(until=CALL.start + timedelta(microseconds=1)), True),
        (CallQuery(failed=True), False),
        (CallQuery(up=True), False),
        (CallQuery(only="INVITE"), True),
        (CallQuery(only="MESSAGE"), False),
        (CallQuery(call="c1"), True),
        (CallQuery(call=CALL.id), True),
        (CallQuery(call="c"), False),
        (CallQuery(call="s3-7"), True),
        (CallQuery(call="S3-7"), True),
        (CallQuery(call="s3-"), False),
    ],
)
def test_each_condition_counts(query: CallQuery, *, matches: bool) -> None:
    assert query.matches(CALL) is matches


def test_pages_follow_each_other_without_a_gap() -> None:
    records = [record(id=str(number), start=CALL.start + timedelta(seconds=number)) for number in range(5)]
    first, has_more = CallQuery(most=2).page(records)
    assert ([one.id for one in first], has_more) == (["4", "3"], True)
    second, _ = CallQuery(most=2, before="3").page(records)
    assert [one.id for one in second] == ["2", "1"]
    last, has_more = CallQuery(most=2, before="1").page(records)
    assert ([one.id for one in last], has_more) == (["0"], False)


def test_failed_and_up_are_found() -> None:
    assert CallQuery(failed=True).matches(record(status=486))
    assert CallQuery(up=True).matches(up())
