"""A ceiling rises with the clock, and the numbers after a trusted one are always below it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.database.number_ceilings import (
    ALLOWANCE,
    FENCING_NUMBERS,
    FILE_NUMBERS,
    USERS_NUMBERS,
    VERSIONS,
    NumberCeiling,
)
from sipmesh.errors import LocalError, OperatorError

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ALL = (FENCING_NUMBERS, FILE_NUMBERS, USERS_NUMBERS, VERSIONS)


@pytest.mark.parametrize("ceiling", ALL, ids=lambda ceiling: ceiling.name)
def test_ceiling_rises_with_the_clock(ceiling: NumberCeiling) -> None:
    first = ceiling.at(NOON)
    assert first == int((NOON + ALLOWANCE).timestamp()) * ceiling.per_second
    assert ceiling.at(NOON + timedelta(seconds=2)) == first + 2 * ceiling.per_second
    assert ceiling.why_beyond(first, NOON) == ""
    assert ceiling.why_beyond(first + 1, NOON).startswith(f"{ceiling.name} {first + 1} is beyond {first}")


@pytest.mark.parametrize("ceiling", ALL, ids=lambda ceiling: ceiling.name)
def test_next_number_counts_under_any_clock(ceiling: NumberCeiling) -> None:
    """An attacker has used the highest one, and then the clock was set back by 20 years."""
    top, then = ceiling.at(NOON), NOON - timedelta(days=7300)
    assert ceiling.why_beyond(top + 1, then) != ""
    assert ceiling.why_beyond(top + 1, then, top) == ""
    assert ceiling.why_beyond(top + ceiling.steps + 1, then, top) != ""


def test_number_of_a_database_is_refused_with_the_remedy() -> None:
    assert VERSIONS.must_count(7, NOON, remedy="set it to 6") == 7
    with pytest.raises(OperatorError, match=r"version \d+ is beyond .* find out how, then set it to 6"):
        VERSIONS.must_count(2**53 - 1, NOON, remedy="set it to 6")


def test_time_without_a_zone_is_a_bug() -> None:
    with pytest.raises(LocalError):
        VERSIONS.at(NOON.replace(tzinfo=None))
