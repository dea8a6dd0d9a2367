"""Reports: places and the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.topology.document.report import ProblemReport, did_you_mean, nearest
from sipmesh.topology.document.yaml_tree import parse

FILE = Path("topology.yaml")


def test_problem_has_the_line_of_its_value() -> None:
    report = ProblemReport(FILE, parse(b"a:\n  b: [x]\n", FILE)[0])
    report.add(("a", "b", 0), "is wrong", "mend it")
    assert str(report.problems[0]) == "topology.yaml:2: a.b[0]: is wrong; mend it"


def test_problem_of_a_missing_value_has_the_line_above_it() -> None:
    report = ProblemReport(FILE, parse(b"x: 1\na:\n  b: [x]\n", FILE)[0])
    assert report.problem(("a", "c"), "`c` is missing", "add it").line == 2
    assert report.problems == []


@pytest.mark.parametrize(("name", "near"), [("fe1.exampel.test", "fe1.example.test"), ("zzz", "")])
def test_nearest_name_is_a_similar_name(name: str, near: str) -> None:
    known = ["fe1.example.test", "edge.other.org"]
    assert nearest(name, known) == near
    assert did_you_mean(name, known, "look it up") == (f"did you mean {near!r}?" if near else "look it up")
