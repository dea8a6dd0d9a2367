"""The output of commands: tables for operators, JSON for programs, and errors with their place and their remedy.

No other module of the commands writes to the standard output or to the standard error. Text from others is made printable here
(`sipmesh.printable`).
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len, set_cell_size
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

Grid = Table
Cell = Text
"""The types of a table and of its cells, for the signatures of other modules."""

WIDE = 180
"""Columns of a table that goes into a file or a pipe, where no terminal folds lines."""

LONGEST_LINE = 4000
"""Characters of one line that are shown; the rest is cut."""

MOST_STYLED = 500
"""Rows of a table with styles."""

GOOD, BAD, WARN, QUIET = "green", "bold red", "yellow", "dim"
MARKS = {"✓": GOOD, "✗": BAD, "·": WARN, "→": "cyan"}
"""The signs at the start of a line of `trust.judgement.explain`, each with its style."""


class Screen(Console):
    """A console that writes no unprintable character, except its own styles and line ends."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as `rich` does, and make every piece of text printable."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(printable_lines(piece.text), piece.style)


def console(*, error: bool = False) -> Console:
    """Return a console on the standard output or the standard error; it is as wide as the terminal, if there is one."""
    stream = sys.stderr if error else sys.stdout
    return Screen(file=stream, width=None if stream.isatty() else WIDE, highlight=False, markup=False, emoji=False)


def say(*lines: str, style: str = "", error: bool = False) -> None:
    """Print each of *lines* on one line; markup in it has no effect. *error* chooses the standard error."""
    out = console(error=error)
    for line in lines:
        out.print(line_of(line, style), soft_wrap=True)


def line_of(text: str, style: str = "") -> Text:
    """Return one line of text, made printable."""
    return Text(printable(text, LONGEST_LINE), style=style)


def say_json(value: object) -> None:
    """Print a value as JSON: plain values, and typed values as `sipmesh.typed_json` writes them."""
    sys.stdout.write(_json_text(value, indent=2))


def say_json_lines(values: Iterable[object]) -> None:
    """Print values as JSON, each on one line."""
    sys.stdout.writelines(map(_json_text, values))


def _json_text(value: object, indent: int | None = None) -> str:
    from sipmesh.typed_json import plain

    return printable_json(json.dumps(value, indent=indent, ensure_ascii=False, default=plain)) + "\n"


def say_document(text: str) -> None:
    """Print a document: unchanged into a file or a pipe, and printable on a terminal."""
    sys.stdout.write(printable_lines(text) if sys.stdout.isatty() else text)


def cell(value: object, style: str = "") -> Text:
    """Return one cell of a table, made printable; None and the empty text are a dash."""
    return Text("-" if value is None or value == "" else printable(str(value)), style=style)


def table(title: str, *columns: str) -> Table:
    """Return a table without rows."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def show(made: Table) -> None:
    """Print a table; on a narrow terminal each row is a block, with one line for each cell.

    A long table is printed without styles and without folds: a style costs half a millisecond for each row.
    """
    out = console()
    if made.row_count > MOST_STYLED:
        sys.stdout.writelines(_aligned(made))
    elif _fits(made, out):
        out.print(made)
    else:
        out.print(*_blocks(made), sep="\n")


def _aligned(made: Table) -> Iterator[str]:
    """Yield each row as a line, with its cells below the headings of their columns."""
    if made.title:
        yield f"{made.title}\n"
    columns = [[str(column.header), *map(_plain, column.cells)] for column in made.columns]
    widths = [max(map(cell_len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        yield "  ".join(map(set_cell_size, row, widths)).rstrip() + "\n"


def _plain(cell: RenderableType) -> str:
    return printable(cell.plain if isinstance(cell, Text) else str(cell))


def _fits(made: Table, out: Console) -> bool:
    """Tell whether the table fits without a break inside a word."""
    widest = (max(_word(cell, out) for cell in (column.header, *column.cells)) for column in made.columns)
    return sum(widest) + 2 * (len(made.columns) - 1) <= out.width


def _word(cell: RenderableType, out: Console) -> int:
    """Return the width of the longest word of a cell, in columns."""
    return Measurement.get(out, out.options, cell).minimum


def _blocks(made: Table) -> Iterator[Text]:
    """Yield each row as a block of lines; empty cells are left out."""
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
    """Print an error on the standard error: what is wrong, then each place with its remedy."""
    out = console(error=True)
    message = wrong.message if isinstance(wrong, OperatorError) else str(wrong)
    if isinstance(wrong, OperatorError) and wrong.parameter:
        message += f" (--{wrong.parameter.replace('_', '-')})"
    out.print(line_of("error: ", BAD) + line_of(message), soft_wrap=True)
    if isinstance(wrong, OperatorError):
        say_problems(wrong.problems, error=True)


def report_fault() -> None:
    """Print the traceback of the exception that is being handled: a bug of ours."""
    say("error: this is a bug in sipmesh. Please report it with these lines:", style=BAD, error=True)
    say(*traceback.format_exc().splitlines(), error=True)


def say_problems(problems: Iterable[Problem], *, error: bool = False) -> None:
    """Print each problem: its place and reason on one line, its remedy on the next."""
    out = console(error=error)
    for problem in problems:
        place = f"{problem.file}:{problem.line}" if problem.line else str(problem.file)
        field = f" {problem.field}" if problem.field else ""
        out.print(line_of(f"  {place}{field}: ", "bold") + line_of(problem.reason), soft_wrap=True)
        out.print(line_of(f"    → {problem.remedy}", MARKS["→"]), soft_wrap=True)


def say_explained(lines: Iterable[str], *, error: bool = False) -> None:
    """Print the lines of `trust.judgement.explain`, each check in the colour of its sign."""
    out = console(error=error)
    for line in lines:
        out.print(line_of(line, MARKS.get(line.strip()[:1], "")), soft_wrap=True)


def say_verdict(verdict: Verdict, *, error: bool = False) -> None:
    """Print a verdict with every check."""
    from sipmesh.trust.judgement.explain import explain

    say_explained(explain(verdict), error=error)


def duration(span: timedelta | float) -> str:
    """Return a time span in words: ``29 d 23 h``, ``4 min 10 s``. A number is in seconds."""
    return tell_span(span)


def second(instant: datetime) -> str:
    """Return an instant in UTC, to the second: ``2026-11-24 12:00:00Z``."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 server``, ``2 servers``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
