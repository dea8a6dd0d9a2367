"""Each error says who has to act, and an operator gets all problems together."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import LocalError, OperatorError, Problem, RemoteError, SipmeshError

FILE = Path("topology.yaml")


def test_error_of_the_peer_names_its_rule_and_the_status() -> None:
    error = RemoteError("no To", rule="RFC 3261 section 8.1.1", status=481)
    assert (str(error), error.rule, error.status) == ("no To (RFC 3261 section 8.1.1)", "RFC 3261 section 8.1.1", 481)
    assert RemoteError("no To", rule="x").status == 400


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            Problem(FILE, 7, "pools[0].role", "is unknown", "write edge"),
            "topology.yaml:7: pools[0].role: is unknown; write edge",
        ),
        (Problem(FILE, 0, "", "cannot be read", "restore it"), "topology.yaml: cannot be read; restore it"),
    ],
)
def test_problem_names_its_place_and_the_remedy(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_operator_gets_all_problems_at_once() -> None:
    problems = tuple(Problem(FILE, line, "", "is wrong", "mend it") for line in (1, 2))
    error = OperatorError("not loaded", problems)
    assert str(error).splitlines() == ["not loaded", *map(str, problems)]
    assert (error.message, error.problems) == ("not loaded", problems)


def test_all_errors_have_one_base_class() -> None:
    assert all(issubclass(kind, SipmeshError) for kind in (RemoteError, LocalError, OperatorError))
