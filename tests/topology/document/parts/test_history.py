"""The days of the message history: none is a choice, a negative number or more than ten years is not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.history import History


@pytest.mark.parametrize(("days", "is_valid"), [(0, True), (3_660, True), (-1, False), (3_661, False)])
def test_days_are_bounded(days: int, *, is_valid: bool) -> None:
    if is_valid:
        assert History(days=days).days == days
    else:
        with pytest.raises(ValidationError):
            History(days=days)
