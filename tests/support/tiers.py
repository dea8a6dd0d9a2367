"""The two tiers of tests: `make test` is what a person waits for, `make test-wide` runs what has the marker ``wide``."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet

WIDE = pytest.mark.wide


def wide_after(count: int, values: Iterable[object]) -> list[ParameterSet]:
    """Keep the first *count* values of a parametrised test in `make test`, and leave the others to `make test-wide`.

    A tuple has one value for each argument; `pytest.param` gives a value marks and an ID of its own.
    """
    rows = [_row(value) for value in values]
    return rows[:count] + [row._replace(marks=[*row.marks, WIDE]) for row in rows[count:]]


def _row(value: object) -> ParameterSet:
    if isinstance(value, ParameterSet):
        return value
    return pytest.param(*value) if isinstance(value, tuple) else pytest.param(value)
