"""How commands speak: tables for people, JSON for programs, and for every error its place and its remedy."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sipmesh.errors import OperatorError, Problem, SipmeshError
from sipmesh.trust.words import tell_span

if TYPE_CHECKING:
    from sipmesh.trust.verdict import Verdict

WIDE = 180
"""Columns of a table that goes into a file or a pipe, where nobody folds lines."""

GOOD, BAD, WARN, QUIET = "green", "bold red", "yellow", "dim"
MARKS = {"✓": GOOD, "✗": BAD, "·": WARN, "→": "cyan"}
"""The signs that `trust.explain` puts before a line, and how each is shown."""


def console(*, error: bool = False) -> Console:
    """A console on the standard output, or on the standard error; as wide as the terminal if there is one."""
    stream = sys.stderr if error else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else WIDE, highlight=False, markup=False)


def say(*lines: str, style: str = "") -> None:
    """Print lines as they are: what an operator wrote is never read as markup."""
    out = console()
    for line in lines:
        out.print(Text(line, style=style), soft_wrap=True)


def say_json(value: Any) -> None:
    """Print a value for a program."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def cell(value: object, style: str = "") -> Text:
    """One cell of a table; None shows as a dash."""
    return Text("-" if value is None or value == "" else str(value), style=style)


def table(title: str, *columns: str) -> Table:
    """An empty table."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def show(made: Table) -> None:
    """Print a table, and the rule under an empty one."""
    console().print(made)


def report(wrong: SipmeshError) -> None:
    """Tell an error on the standard error: what is wrong, and for each place what to do about it."""
    out = console(error=True)
    message = wrong.message if isinstance(wrong, OperatorError) else str(wrong)
    out.print(Text("error: ", style=BAD) + Text(message), soft_wrap=True)
    if isinstance(wrong, OperatorError):
        say_problems(wrong.problems, out)


def say_problems(problems: Iterable[Problem], out: Console) -> None:
    """Print problems, each with its place on one line and its remedy on the next."""
    for problem in problems:
        place = f"{problem.file}:{problem.line}" if problem.line else str(problem.file)
        field = f" {problem.field}" if problem.field else ""
        out.print(Text(f"  {place}{field}: ", style="bold") + Text(problem.reason), soft_wrap=True)
        out.print(Text(f"    → {problem.remedy}", style=MARKS["→"]), soft_wrap=True)


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem for a program."""
    return {
        "file": str(problem.file),
        "line": problem.line,
        "field": problem.field,
        "reason": problem.reason,
        "remedy": problem.remedy,
    }


def say_explained(lines: Iterable[str], *, error: bool = False) -> None:
    """Print the lines of `trust.explain`, each check in the colour of its sign."""
    out = console(error=error)
    for line in lines:
        out.print(Text(line, style=MARKS.get(line.strip()[:1], "")), soft_wrap=True)


def say_verdict(verdict: Verdict, *, error: bool = False) -> None:
    """Print a verdict with every check."""
    from sipmesh.trust.explain import explain

    say_explained(explain(verdict), error=error)


def duration(span: timedelta | float) -> str:
    """A time span as people say it: ``29 d 23 h``, ``4 min 10 s``."""
    return tell_span(span)


def plural(count: int, noun: str) -> str:
    """``1 server``, ``2 servers``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
