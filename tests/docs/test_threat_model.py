"""The threat model has a row for each role and each key, and each row names a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from support.checkout import ROOT

PAGE = ROOT / "docs/threat-model.md"
SECTION = PAGE.read_text().partition("## Roles and stolen keys")[2].partition("\n## ")[0]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in SECTION.splitlines()
    if line.startswith("| ") and "---" not in line and not line.endswith("| test |")
]
MOST_WORDS = 25
WANTED = {
    *("viewer", "operator", "security officer", "user", "partner", "application"),
    *("who holds a phone with a password", "a front end", "an edge", "an application", "a management server"),
    *("a document signer", "the issuing CA", "the root", "the login of PostgreSQL (management)"),
    *("the login of Valkey", "a token of the console", "a backup, with its passphrase"),
}


@cache
def functions_of(file: Path) -> frozenset[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, functions))


def test_each_role_and_each_key_has_a_row() -> None:
    assert WANTED - {row[0] for row in ROWS} == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_row_is_short_and_names_a_test_that_exists(row: list[str]) -> None:
    *cells, test = row
    assert len(row) == 4
    assert all(cell and len(cell.split()) <= MOST_WORDS for cell in cells), row
    named = re.fullmatch(r"`(tests/[a-z_/0-9]+\.py)::(test_[a-z_0-9]+)`", test)
    assert named is not None, test
    assert named[2] in functions_of(ROOT / named[1]), f"{named[1]} has no {named[2]}"


def test_every_cell_of_the_page_is_short() -> None:
    cells = [cell for line in PAGE.read_text().splitlines() if line.startswith("|") for cell in line.split("|")]
    assert [cell for cell in cells if len(cell.split()) > MOST_WORDS] == []
