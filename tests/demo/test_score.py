"""The output of the demo: short lines with whole words, a count for each act, and the full text in the findings file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sipmesh.demo.score import COLUMNS, Score, line_of


@pytest.fixture(name="screen")
def _screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(name="findings")
def _findings() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(name="score")
def _score(screen: io.StringIO, findings: io.StringIO) -> Score:
    return Score(Console(file=screen, width=COLUMNS), findings)


def test_line_has_its_columns_and_no_name_is_cut() -> None:
    assert line_of("expired", "expired", "accepted") == f"{'expired':<44} {'expired':<24} accepted"
    assert line_of("a" * 60, "expired") == f"{'a' * 60} expired{' ' * 17}".rstrip()


def test_act_prints_its_number_its_sentence_and_a_line_for_each_result(score: Score, screen: io.StringIO) -> None:
    act = score.act("Users log in", "Each user proves a password.", "who", "answer")
    act.row("alice", "200 OK", good=True)
    act.row("bob", "403", good=False)
    shown = screen.getvalue().splitlines()
    assert shown[1:4] == ["Act 1. Users log in", "Each user proves a password.", f"  {line_of('who', 'answer')}"]
    assert [line[:8] for line in shown[4:]] == ["✓ alice ", "✗ bob   "]
    assert (act.right, act.total, score.right, score.wrong) == (1, 2, 1, ["bob"])


def test_sentence_is_folded_between_words(score: Score, screen: io.StringIO) -> None:
    score.act("An act", "word " * 40)
    assert {*" ".join(screen.getvalue().splitlines()[2:]).split()} == {"word"}
    assert max(map(len, screen.getvalue().splitlines())) <= COLUMNS


def test_details_go_to_the_findings_alone(score: Score, screen: io.StringIO, findings: io.StringIO) -> None:
    score.act("An act", "A sentence.").row("expired", "expired", good=True, wanted="a valid one", remedy="")
    assert "a valid one" not in screen.getvalue()
    assert "  ✓ expired\n    result: expired\n    wanted: a valid one\n" in findings.getvalue()
    assert "remedy" not in findings.getvalue()


def test_summary_counts_each_act_and_names_what_was_not_expected(score: Score, screen: io.StringIO) -> None:
    score.act("First", "One.").row("a", "yes", good=True)
    score.act("Second", "Two.").row("b", "no", good=False)
    score.conclude(4.6, "f.txt")
    shown = screen.getvalue().splitlines()
    summary = shown[shown.index("Summary") :]
    assert [" ".join(line.split()) for line in summary[1:4]] == [
        "✓ Act 1. First 1 of 1 as expected",
        "✗ Act 2. Second 0 of 1 as expected",
        "✗ not as expected: b",
    ]
    assert summary[-2:] == ["Full findings: f.txt", "1 of 2 results are as expected, in 5 s."]
