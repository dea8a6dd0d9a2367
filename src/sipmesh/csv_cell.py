"""Cells of CSV that no spreadsheet calculates: a text of a peer or of a user may look like a formula."""

from __future__ import annotations

import re
from typing import Final

_FORMULA: Final = re.compile(r"'*[=+@\t\r-]")
"""How a cell begins that a spreadsheet calculates, or that has the apostrophe of such a cell already. SIP permits such names."""


def csv_cell(text: str) -> str:
    """Write a text as a cell: a text that a spreadsheet would read as a formula gets an apostrophe before it."""
    return f"'{text}" if _FORMULA.match(text) else text


def csv_text(cell: str) -> str:
    """Read the text that `csv_cell` has written as this cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
