"""The tables of docs/reference/tested-phones.md: what was seen of each phone with each feature, and of phones together."""

from __future__ import annotations

from datetime import UTC, datetime

from interop.matrix.features import FEATURES
from interop.matrix.stage import MAKES
from support.checkout import DOCS

PAGE = DOCS / "reference/tested-phones.md"
BEGIN, END = "<!-- phones: made by tests/interop/matrix -->", "<!-- end of phones -->"
WRITES = "SIPMESH_WRITE_PAGES"
"""A variable of the environment: with it, the tests write what they have seen into the page."""
RETURNS = ("back after `kill -9`", "back after `drain --prepare`")
"""Rows that `interop.test_return` plays, for all makes at once."""
Cells = dict[tuple[str, str], str]


def read() -> Cells:
    """Give the cells of the page by feature and make."""
    table = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    rows = [row_of(line) for line in table.splitlines() if line.startswith("|")]
    return {(row[0], make): cell for row in rows[2:] for make, cell in zip(rows[0][1:], row[1:], strict=True)}


def write(cell: str, feature: str, make: str) -> None:
    """Put one cell into the page, with today's date (UTC)."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    table = "\n".join(lines(read() | {(feature, make): cell}))
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}")


def lines(cells: Cells) -> list[str]:
    """Write the table."""
    rows = [["feature", *MAKES], ["---"] * (len(MAKES) + 1)]
    rows += [[feature, *(cells.get((feature, make)) or "?" for make in MAKES)] for feature in (*FEATURES, *RETURNS)]
    return [f"Seen on {datetime.now(UTC):%Y-%m-%d}:", "", *(f"| {' | '.join(row)} |" for row in rows)]


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
