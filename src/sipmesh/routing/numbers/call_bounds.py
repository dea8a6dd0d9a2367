"""How much one user, or one trunk, may call: at the same time, in 24 hours, and at which hours of the day."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Final

HOUR_S: Final = 3_600.0
HOURS: Final = 24
MOST_NAMES: Final = 200_000
"""Pairs of a user and a class of numbers whose time is known: the oldest is forgotten. Users have proved who they are."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """*calls* at the same time, and *minutes* and *countries* in 24 hours, of one user; None is no bound."""

    calls: int | None = None
    minutes: int | None = None
    countries: int | None = None


@dataclass(frozen=True, slots=True)
class Hours:
    """From the minute *begin* of the day to the minute *end*, which may be of the next day."""

    begin: int
    end: int

    def __contains__(self, minute: int) -> bool:
        if self.begin <= self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


NO_BOUNDS: Final = Bounds()


class SpentTime:
    """The seconds of calls by name, such as that of a user, in the last 24 hours; *now* is in seconds of one clock.

    Above *most* names, the name that was counted least lately is forgotten.
    """

    def __init__(self, most: int = MOST_NAMES) -> None:
        self._most = most
        self._spent: dict[tuple[str, str], deque[tuple[int, float]]] = {}

    def add(self, name: tuple[str, str], seconds: float, now: float) -> None:
        """Count *seconds* of a call that has ended *now*."""
        hours = self._spent.pop(name, None) or deque()
        hour = int(now // HOUR_S)
        if hours and hours[-1][0] == hour:
            seconds += hours.pop()[1]
        hours.append((hour, seconds))
        self._spent[name] = hours
        if len(self._spent) > self._most:
            del self._spent[next(iter(self._spent))]

    def users(self, most: int) -> list[str]:
        """Give the users among the *most* names that were counted last, the newest first."""
        return [name for name, of in islice(reversed(self._spent), most) if name and not of]

    def of(self, name: tuple[str, str], now: float) -> float:
        """Give the seconds of calls that have ended in the last 24 hours, to the hour."""
        hours = self._spent.get(name)
        if hours is None:
            return 0.0
        first = int(now // HOUR_S) - HOURS
        while hours and hours[0][0] <= first:
            hours.popleft()
        if not hours:
            del self._spent[name]
        return sum(seconds for _, seconds in hours)


class CalledCountries:
    """The countries that each name, such as a user, has called in the last 24 hours; *now* is in seconds of one clock.

    Above *most* names, the name that has called least lately is forgotten.
    """

    def __init__(self, most: int = MOST_NAMES) -> None:
        self._most = most
        self._called: dict[tuple[str, str], dict[str, int]] = {}  # and in which hour last

    def add(self, name: tuple[str, str], country: str, now: float) -> None:
        """Count a call to *country* that begins *now*."""
        hours = self._called.pop(name, None) or {}
        hours[country] = int(now // HOUR_S)
        self._called[name] = hours
        if len(self._called) > self._most:
            del self._called[next(iter(self._called))]

    def of(self, name: tuple[str, str], now: float) -> frozenset[str]:
        """Give the countries whose last call has begun in the last 24 hours, to the hour."""
        first = int(now // HOUR_S) - HOURS
        hours = {country: hour for country, hour in self._called.get(name, {}).items() if hour > first}
        if hours:
            self._called[name] = hours
        else:
            self._called.pop(name, None)
        return frozenset(hours)

    def users(self, most: int) -> list[str]:
        """Give the users among the *most* names that have called last, the newest first."""
        return [name for name, of in islice(reversed(self._called), most) if name and not of]
