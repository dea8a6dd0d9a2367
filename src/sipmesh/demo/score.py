"""The output of the demo: a line for each result, and whether the result is as expected.

The screen has short lines for 80 columns. The findings file has every result in full: what was wanted, what was seen, the remedy.
"""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.text import Text

RIGHT, WRONG = Text("✓", "bold green"), Text("✗", "bold red")

COLUMNS = 80
WHAT, RESULT = 44, 24
"""Columns of a line: what was done, and the result; the rest is for the control."""


@dataclass(slots=True)
class Score:
    """Counts the results of every act; *console* gets the short lines, *findings* the full text."""

    console: Console
    findings: TextIO = field(default_factory=io.StringIO)
    right: int = 0
    wrong: list[str] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)

    def act(self, title: str, says: str, *columns: str) -> Act:
        """Start an act: print its number, its title, a sentence that *says* what is shown, and the heads of its columns."""
        self.acts.append(Act(self, f"Act {len(self.acts) + 1}. {title}"))
        self.say(f"\n{self.acts[-1].title}", style="bold")
        self.say(*textwrap.wrap(says, COLUMNS))
        if columns:
            self.say(f"  {line_of(*columns)}", style="dim")
        self.findings.write(f"\n{self.acts[-1].title}\n{says}\n")
        return self.acts[-1]

    def say(self, *lines: str, style: str = "") -> None:
        """Print lines unchanged."""
        for line in lines:
            self.console.print(Text(line, style), soft_wrap=True)

    def count(self, what: str, *, good: bool) -> Text:
        """Count a result, and return its mark."""
        if good:
            self.right += 1
            return RIGHT
        self.wrong.append(what)
        return WRONG

    def conclude(self, seconds: float, findings: str) -> None:
        """Print the summary: the results of each act, the file with the full findings, and the verdict on the whole."""
        self.say("\nSummary", style="bold")
        for act in self.acts:
            mark = RIGHT if act.right == act.total else WRONG
            self.console.print(Text.assemble(mark, f" {act.title:<{WHAT}} {act.right} of {act.total} as expected"))
        self.say(*(f"✗ not as expected: {what}" for what in self.wrong), style="bold red")
        self.say(f"\nFull findings: {findings}")
        total = self.right + len(self.wrong)
        self.say(f"{self.right} of {total} results are as expected, in {seconds:.0f} s.", style="bold")


@dataclass(slots=True)
class Act:
    """A part of the demo, and the count of its results."""

    score: Score
    title: str
    right: int = 0
    total: int = 0

    def row(self, what: str, result: str, control: str = "", *, good: bool, **details: str) -> None:
        """Print a result; *good* says whether it is as expected, and *details* are for the findings file."""
        mark = self.score.count(what.strip(), good=good)
        self.right, self.total = self.right + good, self.total + 1
        self.score.console.print(Text.assemble(mark, f" {line_of(what, result, control)}"), soft_wrap=True)
        full = {"result": result, "control": control} | details
        lines = (f"    {name}: {value}\n" for name, value in full.items() if value)
        self.score.findings.write(f"  {mark.plain} {what}\n{''.join(lines)}")


def line_of(what: str, result: str = "", control: str = "") -> str:
    """Return the columns of a line; a long column is not cut, but moves the columns after it."""
    return f"{what:<{WHAT}} {result:<{RESULT}} {control}".rstrip()
