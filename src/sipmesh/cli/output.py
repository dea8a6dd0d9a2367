"""How commands speak: tables for people, JSON for programs, and for every error its place and its remedy.

Everything that a command shows goes through here, and what others wrote goes through `sipmesh.printable`: no other module of
the commands writes to the standard output or to the standard error.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from sipmesh.errors import OperatorError, Problem, SipmeshError
from sipmesh.printable import printable, printable_json, printable_lines
from sipmesh.trust.formatting import tell_span

if TYPE_CHECKING:
    from sipmesh.trust.verdict import Verdict

WIDE = 180
"""Columns of a table that goes into a file or a pipe, where nobody folds lines."""

LONGEST_LINE = 4000
"""Characters of one line that are shown."""

GOOD, BAD, WARN, QUIET = "green", "bold red", "yellow", "dim"
MARKS = {"✓": GOOD, "✗": BAD, "·": WARN, "→": "cyan"}
"""The signs that `trust.explain` puts before a line, and how each is shown."""


class Screen(Console):
    """A console that writes no unprintable character but its own styles and line ends, whatever it is given."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as `rich` does, with every piece of text made printable."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(printable_lines(piece.text), piece.style)


def console(*, error: bool = False) -> Console:
    """A console on the standard output, or on the standard error; as wide as the terminal if there is one."""
    stream = sys.stderr if error else sys.stdout
    return Screen(file=stream, width=None if stream.isatty() else WIDE, highlight=False, markup=False, emoji=False)


def say(*lines: str, style: str = "", error: bool = False) -> None:
    """Print lines, each on one line and without markup, whatever is in it; *error* is for the standard error."""
    out = console(error=error)
    for line in lines:
        out.print(line_of(line, style), soft_wrap=True)


def line_of(text: str, style: str = "") -> Text:
    """One line of text, made printable."""
    return Text(printable(text, LONGEST_LINE), style=style)


def say_json(value: Any) -> None:
    """Print a value for a program."""
    sys.stdout.write(printable_json(json.dumps(value, indent=2, ensure_ascii=False, default=str)) + "\n")


def say_json_lines(values: Iterable[Any]) -> None:
    """Print values for a program, one JSON object a line."""
    sys.stdout.writelines(printable_json(json.dumps(value, ensure_ascii=False, default=str)) + "\n" for value in values)


def say_document(text: str) -> None:
    """Print a document as it is into a file or a pipe; on a terminal, what is not printable is escaped."""
    sys.stdout.write(printable_lines(text) if sys.stdout.isatty() else text)


def cell(value: object, style: str = "") -> Text:
    """One cell of a table, made printable; None shows as a dash."""
    return Text("-" if value is None or value == "" else printable(str(value)), style=style)


def table(title: str, *columns: str) -> Table:
    """An empty table."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def show(made: Table) -> None:
    """Print a table. Where the terminal is too narrow for its words, each row is a block: the first cell, then a line a cell."""
    out = console()
    if _fits(made, out):
        out.print(made)
    else:
        out.print(*_blocks(made), sep="\n")


def _fits(made: Table, out: Console) -> bool:
    """Tell whether no name has to be broken in the middle."""
    widest = (max(_word(cell, out) for cell in (column.header, *column.cells)) for column in made.columns)
    return sum(widest) + 2 * (len(made.columns) - 1) <= out.width


def _word(cell: RenderableType, out: Console) -> int:
    """The columns that the longest word of a cell takes."""
    return Measurement.get(out, out.options, cell).minimum


def _blocks(made: Table) -> Iterator[Text]:
    """Write each row as a block of lines; empty cells are left out."""
    if made.title:
        yield Text(f"{made.title}\n", style="bold")
    for row in zip(*(column.cells for column in made.columns), strict=True):
        first, *others = (cell if isinstance(cell, Text) else Text(str(cell)) for cell in row)
        yield Text.assemble(first, style="bold")
        for column, cell in zip(made.columns[1:], others, strict=True):
            if cell.plain not in {"", "-"}:
                yield Text.assemble(f"  {column.header}: " if column.header else "  ", cell)
        yield Text("")


def report(wrong: SipmeshError) -> None:
    """Tell an error on the standard error: what is wrong, and for each place what to do about it."""
    out = console(error=True)
    message = wrong.message if isinstance(wrong, OperatorError) else str(wrong)
    out.print(line_of("error: ", BAD) + line_of(message), soft_wrap=True)
    if isinstance(wrong, OperatorError):
        say_problems(wrong.problems, error=True)


def report_fault() -> None:
    """Tell the exception that is being handled, which is a fault of ours, with its traceback."""
    say("error: this is a bug in sipmesh. Please report it with these lines:", style=BAD, error=True)
    say(*traceback.format_exc().splitlines(), error=True)


def say_problems(problems: Iterable[Problem], *, error: bool = False) -> None:
    """Print problems, each with its place on one line and its remedy on the next."""
    out = console(error=error)
    for problem in problems:
        place = f"{problem.file}:{problem.line}" if problem.line else str(problem.file)
        field = f" {problem.field}" if problem.field else ""
        out.print(line_of(f"  {place}{field}: ", "bold") + line_of(problem.reason), soft_wrap=True)
        out.print(line_of(f"    → {problem.remedy}", MARKS["→"]), soft_wrap=True)


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
        out.print(line_of(line, MARKS.get(line.strip()[:1], "")), soft_wrap=True)


def say_verdict(verdict: Verdict, *, error: bool = False) -> None:
    """Print a verdict with every check."""
    from sipmesh.trust.judgement.explain import explain

    say_explained(explain(verdict), error=error)


def duration(span: timedelta | float) -> str:
    """A time span as people say it: ``29 d 23 h``, ``4 min 10 s``."""
    return tell_span(span)


def plural(count: int, noun: str) -> str:
    """``1 server``, ``2 servers``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
