"""`sipmesh calls` as an operator types it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from cli.world import Organisation
from sipmesh.storage.call_records.journal import FOLDER, Journal
from support.recording import record, up

NOW = datetime.now(UTC)


@pytest.fixture(name="recorded")
def _recorded(organisation: Organisation) -> Organisation:
    """An organisation whose front end has recorded a call of two days ago, a busy callee of today, and a call that is up."""
    journal = Journal(organisation.folder / "state" / FOLDER, "fe1.example.com")
    journal.append(
        [
            record(id="old", start=NOW - timedelta(days=2), caller="carol@example.com", callee="bob@example.com"),
            record(id="busy", start=NOW - timedelta(minutes=3), status=486, why="Busy Here", callee="bob@example.com"),
            up(
                id="now", start=NOW - timedelta(minutes=2), answer=NOW - timedelta(minutes=1), callee="dora@example.com"
            ),
            record(id="text", method="MESSAGE", start=NOW - timedelta(minutes=1), status=202, callee="bob@example.com"),
        ]
    )
    return organisation


def ids(organisation: Organisation, *options: str) -> list[str]:
    """Type the command, and give the ids of the records."""
    result = organisation.type("calls", "--csv", *options)
    assert result.code == 0, result.err
    return [row["id"] for row in csv.DictReader(io.StringIO(result.out))]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["text", "now", "busy", "old"]),
        (["--user", "bob"], ["text", "busy", "old"]),
        (["--user", "sip:Bob@example.com", "--failed"], ["busy"]),
        (["--user", "carol@example.com"], ["old"]),
        (["--since", "1h"], ["text", "now", "busy"]),
        (["--until", "1d"], ["old"]),
        (["--up"], ["now"]),
        (["--messages"], ["text"]),
        (["--call", "old"], ["old"]),
        (["--most", "1"], ["text"]),
    ],
)
def test_records_are_found(recorded: Organisation, options: list[str], found: list[str]) -> None:
    assert ids(recorded, *options) == found


def test_answer_is_readable(recorded: Organisation) -> None:
    result = recorded.type("calls", "--user", "bob", "--since", "1h", "--utc")
    assert "486 Busy Here" in result.out
    assert "times in UTC" in result.out
    assert "from their files on this machine" in result.err


def test_json_has_one_record_on_each_line(recorded: Organisation) -> None:
    lines = recorded.type("calls", "--json").out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith('{"id": "text"')


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--since", "soon"], "soon is no time; write 2026-11-30, 2026-11-30T14:00, or so long ago"),
        (["--today", "--yesterday"], "--yesterday and --today are two days"),
    ],
)
def test_wrong_time_is_refused(recorded: Organisation, options: list[str], told: str) -> None:
    result = recorded.type("calls", *options)
    assert (result.code, told in result.err) == (1, True)


def test_network_without_records_says_how_to_make_them(organisation: Organisation) -> None:
    assert "write `call_records: {}` into the topology" in organisation.type("calls").err


def test_journal_that_cannot_be_read_is_named(recorded: Organisation) -> None:
    file = recorded.folder / "state" / FOLDER / "fe1.example.com-00000001.jsonl"
    file.unlink()
    file.mkdir()
    result = recorded.type("calls")
    assert (result.code, str(file) in result.err) == (1, True)
