"""A line of a journal is JSON, and its head stays when the call ends."""

from __future__ import annotations

import json

import pytest

from sipmesh.storage.call_records.journal import record_in
from sipmesh.storage.call_records.journal_entry import JournalEntry, keep_up, lines_of, quoted
from support.recording import entry, record, up_entry


@pytest.mark.parametrize(
    "text", ["", "alice@example.test", 'a"b', "a\\b", "a\nb", "\u00e9", "\u2028", "\ud800", "\x7f"]
)
def test_any_text_is_json_in_ascii(text: str) -> None:
    assert json.loads(quoted(text)) == text
    assert quoted(text).isascii()


def test_end_of_a_call_changes_the_tail_alone() -> None:
    up = up_entry(id="a")
    over = up.ended('"2026-11-30T13:05:12+00:00"', "10.0", quoted('ended by "BYE"'))
    assert (up.is_up, over.is_up, over.key, over.head) == (True, False, up.key, up.head)
    read = record_in(over.line)
    assert read is not None
    assert (read.seconds, read.why, read.is_up) == (10.0, 'ended by "BYE"', False)


def test_lines_follow_one_another() -> None:
    some = [entry(id="a"), up_entry(id="b")]
    assert lines_of(some) == some[0].line + some[1].line
    assert lines_of([]) == b""


def test_calls_that_are_up_are_those_whose_last_line_has_no_end() -> None:
    up: dict[str, JournalEntry] = {}
    keep_up(up, [up_entry(id="a"), up_entry(id="b"), entry(id="a"), entry(id="unknown")])
    assert [one.key for one in up.values()] == ["fe1.example.test b"]


@pytest.mark.parametrize("trunk", ["", "sip.provider.test"])
def test_record_that_was_read_is_written_as_it_was(trunk: str) -> None:
    """Without a trunk, a line is as before there were trunks in records."""
    made = record(hops=("a.test", "b.test"), withheld=True, trunk=trunk)
    line = made.entry().line
    assert (record_in(line), b'"trunk"' in line) == (made, bool(trunk))
