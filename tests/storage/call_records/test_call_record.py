"""A record survives its way through JSON, within its limits."""

from __future__ import annotations

import json

import pytest

from sipmesh.storage.call_records.journal import line_of, record_in
from support.recording import record, up

REFUSED = record(status=488, code="media-not-encrypted", reference="c8-1", refused_by="fe2.example.test")


@pytest.mark.parametrize("made", [record(), up(), record(status=486, answer=None, seconds=None), REFUSED])
def test_record_is_read_as_it_was_written(made: object) -> None:
    assert record_in(line_of(made)) == made  # type: ignore[arg-type]  # a CallRecord


@pytest.mark.parametrize(("length", "is_read"), [(256, True), (257, False)])
def test_text_above_its_limit_is_refused(length: int, *, is_read: bool) -> None:
    assert (record_in(line_of(record(why="x" * length))) is not None) is is_read


@pytest.mark.parametrize(
    "wrong", [{"status": 700}, {"start": "yesterday"}, {"hops": ["x"] * 17}, {"caller": None}, {"id": 1}], ids=str
)
def test_line_that_is_no_record_is_not_read(wrong: dict[str, object]) -> None:
    assert record_in(json.dumps({**json.loads(line_of(record())), **wrong}).encode()) is None


def test_call_is_up_until_it_ends_and_has_failed_without_a_2xx() -> None:
    assert (up().is_up, record().is_up) == (True, False)
    assert (record(status=202).has_failed, record(status=300).has_failed) == (False, True)
