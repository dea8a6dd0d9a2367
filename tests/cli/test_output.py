"""What people and programs read."""

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cli.world import sipmesh
from sipmesh.cli.output import (
    MOST_STYLED,
    cell,
    duration,
    plural,
    report,
    report_fault,
    say_document,
    say_explained,
    say_json,
    say_json_lines,
    second,
    show,
    table,
)
from sipmesh.errors import OperatorError, Problem

PROBLEM = Problem(Path("topology.yaml"), 12, "pools[0].servers", "'fe1' is a short name", "write it in full")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_725, "1 h 2 min"),
        (86_400 * 29 + 3_600 * 23 + 59, "29 d 23 h"),
        (86_400, "1 d"),
        (-90, "1 min 30 s ago"),
    ],
)
def test_a_time_span_is_written_in_its_two_largest_units(seconds: float, told: str) -> None:
    assert duration(timedelta(seconds=seconds)) == duration(seconds) == told


def test_one_is_written_in_the_singular() -> None:
    assert [plural(count, "link") for count in (0, 1, 2)] == ["0 links", "1 link", "2 links"]


def test_an_error_names_file_line_and_field_and_then_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets in a field are no markup."""
    report(OperatorError("the topology has a problem", (PROBLEM,)))
    assert capsys.readouterr().err.splitlines() == [
        "error: the topology has a problem",
        "  topology.yaml:12 pools[0].servers: 'fe1' is a short name",
        "    → write it in full",
    ]


def test_a_problem_without_a_line_is_reported_by_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    report(OperatorError("no", (Problem(Path("ca"), 0, "", "contains no CA", "run this where it is"),)))
    assert "  ca: contains no CA" in capsys.readouterr().err


def test_a_program_gets_every_part_of_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    say_json(PROBLEM)
    assert json.loads(capsys.readouterr().out) == {
        "file": "topology.yaml",
        "line": 12,
        "field": "pools[0].servers",
        "reason": "'fe1' is a short name",
        "remedy": "write it in full",
    }


def test_an_error_leaves_standard_output_to_programs(tmp_path: Path) -> None:
    """A missing topology is reported on the standard error, with the command that makes one."""
    left = sipmesh("topology", "show", "--json", topology=tmp_path / "none.yaml")
    assert (left.code, left.out) == (1, "")
    assert "sipmesh init" in left.err


def shown_at(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """A table with long names, on a terminal of so many columns."""
    monkeypatch.setattr("sipmesh.cli.output.WIDE", width)
    made = table("Servers", "server", "address", "fault")
    made.add_row(cell("fe1.example.test"), cell("192.0.2.10:5062"), cell("the certificate expires in 2 days"))
    made.add_row(cell("edge1.example.test"), cell(None), cell(""))
    show(made)
    return capsys.readouterr().out


def test_table_that_fits_is_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    head, *_ = [line for line in shown_at(80, monkeypatch, capsys).splitlines() if "address" in line]
    assert head.split() == ["server", "address", "fault"]


def test_table_on_a_narrow_terminal_is_written_in_blocks_and_breaks_no_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown_at(40, monkeypatch, capsys).splitlines() == [
        "Servers",
        "",
        "fe1.example.test",
        "  address: 192.0.2.10:5062",
        "  fault: the certificate expires in 2 ",
        "days",
        "",
        "edge1.example.test",
        "",
    ]


def test_long_table_is_printed_without_styles_and_with_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    """One row less has the styles; text from others is made printable in both."""
    made = table("Users", "user", "state")
    for number in range(MOST_STYLED + 1):
        made.add_row(cell(f"user{number}\x1b[31m"), cell(None))
    show(made)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Users", "user             state"]
    assert lines[-1].split() == [f"user{MOST_STYLED}\\x1b[31m", "-"]
    assert len(lines) == MOST_STYLED + 3


def test_lines_of_json_are_one_value_each(capsys: pytest.CaptureFixture[str]) -> None:
    say_json_lines([{"a": 1}, PROBLEM])
    assert [
        json.loads(line)["a" if n == 0 else "line"] for n, line in enumerate(capsys.readouterr().out.splitlines())
    ] == [1, 12]


def test_document_in_a_pipe_is_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    say_document("a\x1b[2J\n")
    assert capsys.readouterr().out == "a\x1b[2J\n"


def test_document_on_a_terminal_is_printable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    say_document("a\x1b[2J\n")
    assert capsys.readouterr().out == "a\\x1b[2J\n"


def test_fault_of_ours_is_printed_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        os.environ["SIPMESH FE1"]
    except KeyError:
        report_fault()
    printed = capsys.readouterr().err
    assert printed.startswith("error: this is a bug in sipmesh.")
    assert "KeyError: 'SIPMESH FE1'" in printed


def test_explained_checks_keep_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    say_explained(["✓ role", "✗ name", "  → a remedy"])
    assert capsys.readouterr().out.splitlines() == ["✓ role", "✗ name", "  → a remedy"]


def test_time_is_written_to_the_second_in_utc() -> None:
    assert second(datetime(2026, 6, 1, 14, 0, 0, 999, timezone(timedelta(hours=2)))) == "2026-06-01 12:00:00Z"
