"""How near the end of a certificate or a list is, in the steps that warnings go by."""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.topology.expiry.validity import DatedItem


class Urgency(IntEnum):
    """The steps, in the order in which time takes them."""

    FINE = 0
    DAYS_30 = 1
    DAYS_14 = 2
    DAYS_7 = 3
    DAY_1 = 4
    PAST = 5

    @property
    def word(self) -> str:
        """The stable word for it, in JSON and in logs."""
        return _WORDS[self]

    @property
    def urgent(self) -> bool:
        """Whether a program that looks should raise an alarm."""
        return self >= Urgency.DAYS_7


_WORDS = {
    Urgency.FINE: "fine",
    Urgency.DAYS_30: "30 days",
    Urgency.DAYS_14: "14 days",
    Urgency.DAYS_7: "7 days",
    Urgency.DAY_1: "1 day",
    Urgency.PAST: "past",
}
_DAYS = {Urgency.DAY_1: 1, Urgency.DAYS_7: 7, Urgency.DAYS_14: 14, Urgency.DAYS_30: 30}


def level(paper: DatedItem, at: datetime, *, is_list: bool) -> Urgency:
    """The level of *paper* at the instant *at*; its last instant still counts (RFC 5280 4.1.2.5).

    What has not begun counts no more than what has ended: the clock of who signed it was ahead, or ours is behind.

    A step that is longer than half of the whole life says nothing, since every fresh one would be there already: a
    certificate of 30 days begins to warn at 14. The last two steps of a certificate count however short it lives. A
    list of 7 days, which should be made anew each day, first warns at 1; one of less than 2 days at a quarter.
    """
    left, life = paper.ends - at, paper.ends - paper.begins
    if left < timedelta(0) or paper.begins > at:
        return Urgency.PAST
    return next((step for step in _DAYS if left <= _reach(step, life, is_list=is_list)), Urgency.FINE)


DAILY = timedelta(days=14)
"""A list of ours that lives no longer than this is made anew each day while its CA is at work; a root's lives a year."""

OLD = timedelta(hours=36)


def is_old(paper: DatedItem, at: datetime) -> bool:
    """Whether a list of our own authority is older than it should ever become: long before it ends, the CA stays away."""
    return paper.ends - paper.begins <= DAILY and at - paper.begins > OLD


def _reach(step: Urgency, life: timedelta, *, is_list: bool) -> timedelta:
    """With how much time left *step* begins; a negative one is never reached."""
    whole = timedelta(days=_DAYS[step])
    if whole <= life / 2 or (step.urgent and not is_list):
        return whole
    return life / 4 if step is Urgency.DAY_1 else timedelta(-1)
