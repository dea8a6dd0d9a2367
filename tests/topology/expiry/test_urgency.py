"""The steps to an end: at each limit and one second to its side, for certificates and for lists."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sipmesh.topology.expiry.urgency import Urgency, is_old, level
from sipmesh.topology.expiry.validity import DatedItem
from topology.world import NOON

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def of(life: timedelta, left: timedelta, *, is_list: bool = False) -> Urgency:
    """The level of something that lives *life* and has *left* of it."""
    item = DatedItem("CN=a", "CN=b", "1", "1", NOON + left - life, NOON + left)
    return level(item, NOON, is_list=is_list)


@pytest.mark.parametrize("is_list", [False, True])
@pytest.mark.parametrize(
    ("days", "here", "before"),
    [
        (30, Urgency.DAYS_30, Urgency.FINE),
        (14, Urgency.DAYS_14, Urgency.DAYS_30),
        (7, Urgency.DAYS_7, Urgency.DAYS_14),
        (1, Urgency.DAY_1, Urgency.DAYS_7),
    ],
)
def test_each_step_begins_at_its_limit(days: int, here: Urgency, before: Urgency, *, is_list: bool) -> None:
    assert of(365 * DAY, days * DAY, is_list=is_list) is here
    assert of(365 * DAY, days * DAY + SECOND, is_list=is_list) is before


@pytest.mark.parametrize(("left", "found"), [(timedelta(0), Urgency.DAY_1), (-SECOND, Urgency.PAST)])
def test_last_instant_is_still_valid(left: timedelta, found: Urgency) -> None:
    assert of(365 * DAY, left) is found


def test_step_longer_than_half_of_the_lifetime_is_skipped() -> None:
    """A month's certificate is not a warning on its first day, nor a week's list on any day before its last."""
    assert of(30 * DAY, 30 * DAY) is Urgency.FINE
    assert of(30 * DAY, 14 * DAY) is Urgency.DAYS_14
    assert of(7 * DAY, 7 * DAY, is_list=True) is Urgency.FINE
    assert of(7 * DAY, DAY + SECOND, is_list=True) is Urgency.FINE
    assert of(7 * DAY, DAY, is_list=True) is Urgency.DAY_1


def test_certificate_of_a_few_days_is_always_urgent() -> None:
    assert of(5 * DAY, 5 * DAY) is Urgency.DAYS_7
    assert of(DAY, DAY) is Urgency.DAY_1


@pytest.mark.parametrize(("left", "found"), [(6, Urgency.DAY_1), (7, Urgency.FINE)])
def test_crl_of_one_day_warns_in_its_last_quarter(left: int, found: Urgency) -> None:
    assert of(DAY, timedelta(hours=left), is_list=True) is found


def test_levels_from_a_week_on_raise_an_alarm() -> None:
    assert [one.word for one in Urgency if one.urgent] == ["7 days", "1 day", "past"]


@pytest.mark.parametrize(
    ("life", "age", "old"),
    [
        (7 * DAY, timedelta(hours=36), False),
        (7 * DAY, timedelta(hours=36, seconds=1), True),
        (14 * DAY, 2 * DAY, True),
        (365 * DAY, 31 * DAY, False),
    ],
)
def test_crl_that_is_signed_each_day_is_old_from_a_day_and_a_half_on(
    life: timedelta, age: timedelta, *, old: bool
) -> None:
    """A root's list, of a year, is made once a month."""
    assert is_old(DatedItem("CN=a", "CN=a", "1", "1", NOON - age, NOON - age + life), NOON) is old


@pytest.mark.parametrize(("begins", "found"), [(timedelta(0), Urgency.FINE), (SECOND, Urgency.PAST)])
def test_item_that_is_not_yet_valid_is_as_urgent_as_expired(begins: timedelta, found: Urgency) -> None:
    item = DatedItem("CN=a", "CN=b", "1", "1", NOON + begins, NOON + 365 * DAY)
    assert level(item, NOON, is_list=True) is found
