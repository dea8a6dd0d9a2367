"""What the demo shows, line by line, and whether each line came out as it must."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

RIGHT, WRONG = Text("✓", "bold green"), Text("✗", "bold red")


@dataclass(slots=True)
class Score:
    """Collects the lines of every act; *console* is where they are shown."""

    console: Console
    right: int = 0
    wrong: list[str] = field(default_factory=list)

    def act(self, title: str, *columns: str) -> Act:
        """Begin a table."""
        return Act(self, title, columns)

    def count(self, what: str, *, good: bool) -> Text:
        """Count one line and return its mark."""
        if good:
            self.right += 1
            return RIGHT
        self.wrong.append(what)
        return WRONG

    @property
    def summary(self) -> str:
        """The whole demo in one line."""
        total = self.right + len(self.wrong)
        if not self.wrong:
            return f"{total} lines, every one as it must be"
        return f"{total} lines, {len(self.wrong)} NOT as they must be: {'; '.join(self.wrong)}"


class Act:
    """One table; its rows are shown together at the end."""

    def __init__(self, score: Score, title: str, columns: tuple[str, ...]) -> None:
        self._score = score
        self._table = Table(title=title, title_justify="left", title_style="bold", expand=True, pad_edge=False)
        self._table.add_column("", width=1)
        for column in columns:
            self._table.add_column(column, overflow="fold", ratio=2 if column in {"saw", "remedy"} else 1)

    def row(self, *cells: str, good: bool) -> None:
        """Add a line that had to come out in one way."""
        self._table.add_row(self._score.count(cells[0], good=good), *cells)

    def note(self, *cells: str) -> None:
        """Add a line that only informs."""
        self._table.add_row("", *cells)

    def show(self) -> None:
        """Print the table."""
        self._score.console.print(self._table)
        self._score.console.print()
