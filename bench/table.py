"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SMALL, LARGE = 10, 1000


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table."""
    shown = [list(heads), ["---"] * len(heads), *map(list, rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in shown)


def number(value: float) -> str:
    """Write a figure with as many digits as mean something."""
    digits = 2 if abs(value) < SMALL else 1 if abs(value) < LARGE else 0
    return f"{value:,.{digits}f}"
