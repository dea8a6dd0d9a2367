"""Further tables of docs/reference/tested-phones.md: what was seen of phones together."""

from __future__ import annotations

from datetime import UTC, datetime

from support.checkout import DOCS

PAGE = DOCS / "reference/tested-phones.md"
WRITES = "SIPMESH_WRITE_PAGES"
"""A variable of the environment: with it, the tests write what they have seen into the page."""


class Table:
    """A further table of the page, between two comments with its *name*. The first cell of a row names it."""

    def __init__(self, name: str) -> None:
        self._begin, self._end = f"<!-- {name}: made by tests/interop -->", f"<!-- end of {name} -->"

    def rows(self) -> dict[str, list[str]]:
        """Give the cells of each row, without its name."""
        return {name: cells for name, *cells in self._read()[2:]}

    def write(self, name: str, *cells: str) -> None:
        """Put a row in, or replace it, with today's date (UTC)."""
        before, found, rest = PAGE.read_text().partition(self._begin)
        assert found, f"{PAGE} has no {self._begin}"
        heads = self._read()[:2]
        rows = self.rows() | {name: list(cells)}
        table = [f"| {' | '.join(row)} |" for row in (*heads, *([name, *cells] for name, cells in rows.items()))]
        text = "\n".join([f"Seen on {datetime.now(UTC):%Y-%m-%d}:", "", *table])
        PAGE.write_text(f"{before}{self._begin}\n\n{text}\n\n{self._end}{rest.partition(self._end)[2]}")

    def _read(self) -> list[list[str]]:
        text = PAGE.read_text().partition(self._begin)[2].partition(self._end)[0]
        return [row_of(line) for line in text.splitlines() if line.startswith("|")]


def row_of(line: str) -> list[str]:
    """Give the cells of a line of a table."""
    return [cell.strip() for cell in line.strip("|").split(" | ")]
