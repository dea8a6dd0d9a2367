"""How many examples a property gets: some in `make test`, several times as many in `make test-wide`, and many in `make soak`.

A property without `examples` gets 100 of them, and a fifth of these in `make test`: the profiles of Hypothesis in `conftest.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import pytest
from hypothesis import settings

P = ParamSpec("P")
R = TypeVar("R")

SOAK = "SIPMESH_SOAK"
"""The variable of the environment that `make soak` sets."""

SOAKS = SOAK in os.environ


USUAL = 100
"""The examples of a property that says nothing, in all runs but `make test`."""


def examples(few: int, many: int = 0, **others: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Give a property *few* examples, a fifth of them in `make test`, and *many* where it soaks.

    *others* are settings of Hypothesis.
    """

    def decorate(test: Callable[P, R]) -> Callable[P, R]:
        count = many if many and SOAKS else few * settings().max_examples // USUAL
        counted = settings(max_examples=count, **others)(test)
        marked: Callable[P, R] = pytest.mark.more_in_soak(counted) if many else counted
        return marked

    return decorate
