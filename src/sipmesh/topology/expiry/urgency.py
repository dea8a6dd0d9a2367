"""How soon a certificate or a CRL expires, in steps for warnings."""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.topology.expiry.validity import DatedItem


class Urgency(IntEnum):
    """The steps, in order of time."""

    FINE = 0
    DAYS_30 = 1
    DAYS_14 = 2
    DAYS_7 = 3
    DAY_1 = 4
    PAST = 5

    @property
    def word(self) -> str:
        """The stable name of the step in JSON and logs."""
        return _WORDS[self]

    @property
    def urgent(self) -> bool:
        """Whether a monitoring program should raise an alarm."""
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


def level(item: DatedItem, at: datetime, *, is_list: bool) -> Urgency:
    """Give the urgency of *item* at the instant *at*. Its last instant is still valid (RFC 5280 4.1.2.5).

    An item that is not yet valid is as urgent as an expired one: the clock of its issuer was ahead, or ours is behind.

    A step longer than half of the lifetime is skipped, because a new item would be in it already. So a certificate of 30 days
    has its first warning at 14 days. The last two steps of a certificate are never skipped. A CRL of 7 days, which the CA
    renews each day, has its first warning at 1 day; a CRL of less than 2 days has it at a quarter of its lifetime.
    """
    left, life = item.ends - at, item.ends - item.begins
    if left < timedelta(0) or item.begins > at:
        return Urgency.PAST
    return next((step for step in _DAYS if left <= _reach(step, life, is_list=is_list)), Urgency.FINE)


DAILY = timedelta(days=14)
"""While the CA runs, CRLs with this lifetime or less are renewed each day. (The CRL of a root is valid for a year.)"""

OLD = timedelta(hours=36)


def is_old(item: DatedItem, at: datetime) -> bool:
    """Tell whether a CRL of our own authority is too old: long before it expires, this shows that the CA is down."""
    return item.ends - item.begins <= DAILY and at - item.begins > OLD


def _reach(step: Urgency, life: timedelta, *, is_list: bool) -> timedelta:
    """Give the time before the end at which *step* begins. A negative time is never reached."""
    whole = timedelta(days=_DAYS[step])
    if whole <= life / 2 or (step.urgent and not is_list):
        return whole
    return life / 4 if step is Urgency.DAY_1 else timedelta(-1)
