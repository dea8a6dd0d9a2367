"""The rule that keeps Unicode's blanks, digits and cases out of protocol text finds each way in, and only these."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from support.checkout import ROOT
from tools import lint_text

TOOL = ROOT / "tools" / "lint_text.py"


def found(source: str, file: str = "sip/any.py") -> list[str]:
    return [what.partition(" ")[0] for _, what in lint_text.faults(ast.parse(source), file)]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x.strip()", "strip"),
        ("x.lstrip()", "lstrip"),
        ("x.partition(':')[0].rstrip()", "rstrip"),
        ("x.split()", "split"),
        ("x.split(None)", "split"),
        ("x.split(maxsplit=1)", "split"),
        ("x.split(sep=None)", "split"),
        ("x.rsplit()", "rsplit"),
        ("x.splitlines()", "splitlines"),
        ("x.lower()", "lower"),
        ("x.upper()", "upper"),
        ("x.casefold()", "casefold"),
        ("x.isdigit()", "isdigit"),
        ("x.isalnum()", "isalnum"),
        ("x.isspace()", "isspace"),
        ("x.isprintable()", "isprintable"),
        ("def f(x):\n    return [y.title() for y in x]", "title"),
        ("re.compile(r'\\s+')", "re.compile"),
        ("re.match(r'a' r'\\d', x)", "re.match"),
        ("re.sub('[\\\\w]', '', x)", "re.sub"),
        ("re.compile('sip', re.IGNORECASE)", "re.compile"),
        ("re.compile('(?i)sip')", "re.compile"),
    ],
)
def test_what_follows_unicode_is_found(source: str, fault: str) -> None:
    assert found(source) == [fault]


@pytest.mark.parametrize(
    "source",
    [
        "x.strip(' \\t')",
        "x.split(',')",
        "x.split(sep=',')",
        "x.rstrip(LWS)",
        "strip(x)",
        "re.compile(r'\\s+', re.ASCII)",
        "re.compile(rb'\\s+')",
        "re.compile('[0-9]+')",
        "re.compile('(?ai)sip')",
        "re.compile('sip', re.I | re.A)",
    ],
)
def test_what_has_one_meaning_is_left_alone(source: str) -> None:
    assert found(source) == []


def test_an_exception_holds_for_its_function_alone() -> None:
    assert found("def is_digits(x):\n    return x.isascii() and x.isdigit()", "sip/text.py") == []
    assert found("def other(x):\n    return x.isdigit()", "sip/text.py") == ["isdigit"]
    assert found("def is_digits(x):\n    return x.isdigit()", "sip/fields.py") == ["isdigit"]


@pytest.mark.wide
def test_each_exception_is_used_and_has_its_reason() -> None:
    used = set()
    for file in lint_text.files():
        name = file.relative_to(lint_text.SOURCE).as_posix()
        for where, call in lint_text.calls(ast.parse(file.read_text("utf-8"))):
            used.add((name, where, lint_text.fault(call)))
    assert set(lint_text.ALLOWED) <= used
    assert all(lint_text.ALLOWED.values())


def test_file_that_keeps_the_rule_passes() -> None:
    """`make check` reads all sources."""
    checked = subprocess.run([sys.executable, TOOL, TOOL], capture_output=True, text=True, check=False)
    assert (checked.stdout, checked.returncode) == ("", 0)


def test_a_fault_fails_the_check(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("x = ' a '.strip()\n")
    checked = subprocess.run([sys.executable, TOOL, file], capture_output=True, text=True, check=False)
    assert (f"{file}:1: strip" in checked.stdout, checked.returncode) == (True, 1)
