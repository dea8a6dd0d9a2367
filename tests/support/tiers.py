"""The two tiers of tests: `make test` is what a person waits for, `make test-wide` runs what has the marker ``wide``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest
from _pytest.mark import ParameterSet

T = TypeVar("T")

WIDE = pytest.mark.wide


def wide_after(count: int, values: Iterable[object]) -> list[ParameterSet]:
    """Keep the first *count* values of a parametrised test in `make test`, and leave the others to `make test-wide`.

    A tuple has one value for each argument; `pytest.param` gives a value marks and an ID of its own.
    """
    rows = [_row(value) for value in values]
    return rows[:count] + [_wide(row) for row in rows[count:]]


def wide_unless(stays: Callable[[T], object], values: Iterable[T]) -> list[ParameterSet]:
    """Keep the values that *stays* holds for in `make test`, and leave the others to `make test-wide`."""
    return [_row(value) if stays(value) else _wide(_row(value)) for value in values]


def _wide(row: ParameterSet) -> ParameterSet:
    return row._replace(marks=[*row.marks, WIDE])


def _row(value: object) -> ParameterSet:
    if isinstance(value, ParameterSet):
        return value
    return pytest.param(*value) if isinstance(value, tuple) else pytest.param(value)
