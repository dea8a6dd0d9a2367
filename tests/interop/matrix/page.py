"""The table of docs/reference/tested-phones.md: what was seen of each phone with each feature."""

from __future__ import annotations

from datetime import UTC, datetime

from interop.matrix.features import FEATURES
from interop.matrix.stage import MAKES
from interop.tables import PAGE, WRITES, row_of

__all__ = ["RETURNS", "WRITES", "Cells", "lines", "read", "write"]

BEGIN, END = "<!-- phones: made by tests/interop/matrix -->", "<!-- end of phones -->"
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
