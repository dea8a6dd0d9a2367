"""Files of users: the numbers that say for how long, and how many octets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.files import Files


def test_defaults_fit_into_each_other() -> None:
    files = Files()
    assert files.largest_mb <= files.user_mb <= files.pool_mb <= files.total_mb


@pytest.mark.parametrize(
    ("key", "value", "is_valid"),
    [
        ("days", 1, True),
        ("days", 90, True),
        ("days", 0, False),
        ("days", 91, False),
        ("largest_mb", 0, False),
        ("largest_mb", 1_000, True),
        ("largest_mb", 1_001, False),
        ("user_mb", 0, False),
        ("pool_mb", 0, False),
        ("total_mb", 0, False),
        ("total_mb", 10_000_000, True),
    ],
)
def test_numbers_are_bounded(key: str, value: int, *, is_valid: bool) -> None:
    if is_valid:
        assert getattr(Files(**{key: value}), key) == value
    else:
        with pytest.raises(ValidationError):
            Files(**{key: value})
