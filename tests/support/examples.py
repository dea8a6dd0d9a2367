"""How many examples a property gets: enough to see a fault of today in `make test`, and many in `make soak`."""

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


def examples(few: int, many: int, **others: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Give a property *few* examples, and *many* where it soaks; *others* are settings of Hypothesis."""

    def decorate(test: Callable[P, R]) -> Callable[P, R]:
        counted = settings(max_examples=many if SOAKS else few, **others)(test)
        marked: Callable[P, R] = pytest.mark.more_in_soak(counted)
        return marked

    return decorate
