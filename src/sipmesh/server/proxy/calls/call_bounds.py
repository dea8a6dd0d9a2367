"""The bounds of calls through the trunks of a gateway: which call may begin, which one is ended, and who has reached a bound."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

from sipmesh.routing.numbers.call_bounds import NO_BOUNDS, Bounds, CalledCountries
from sipmesh.routing.numbers.countries import country_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.routing.identity.forwarded_caller import ForwardedCaller
    from sipmesh.routing.numbers.call_bounds import SpentTime
    from sipmesh.routing.numbers.dial_plan import DialPlan
    from sipmesh.routing.numbers.trunk_table import TrunkRoute
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.calls.trunk_calls import TrunkCall, TrunkCalls
    from sipmesh.server.quotas.limited_log import LimitedLog

LOOKED_S: Final = 5.0
"""Seconds between two looks at how long the calls are up."""

BOUNDS: Final = ("calls", "minutes", "countries", "hours", "trunk-minutes", "longest-call", "forwarded")

MOST_FORWARDED: Final = 10
"""Calls of one trunk, or of one partner, that the rules of one user forward to trunks at the same time.

The circle of a trunk that sends a forwarded call back as a new call, without Diversion and with another caller, ends here. There
is no bound for all sources together: a single source could reach it, and others would not be forwarded.
"""

MOST_OF_CALLER: Final = 5
"""Calls of one caller among them, and of one user of ours: a caller leaves half of the calls of the trunk to others."""

SHOWN_S: Final = 86_400.0
MOST_SHOWN: Final = 100
"""How long, and how many, users who have reached a bound are shown in the status."""


MOST_CALLERS: Final = 10
MOST_CALLERS_LOOKED_AT: Final = 2_000
"""Users whose calls are shown, and names among which they are looked for: the look must not delay calls."""


class Caller(NamedTuple):
    """A user who has *calls* up through trunks, and has called for *minutes*, to so many *countries*, in 24 hours.

    *bounds* are those of each user.
    """

    user: str
    calls: int
    minutes: int
    countries: int
    bounds: Bounds

    @property
    def is_near(self) -> bool:
        """Whether half of a bound is used."""
        bounds = self.bounds
        uses = (self.calls, bounds.calls), (self.minutes, bounds.minutes), (self.countries, bounds.countries)
        return any(most is not None and 2 * used >= most for used, most in uses)


class CallBounds:
    """Judges calls by what is up in *calls*, and by the time *spent*. *wall* gives Unix time, for hours of the day.

    *reached* counts how often each bound was reached.
    """

    def __init__(
        self, current: Current, calls: TrunkCalls, spent: SpentTime, wall: Callable[[], float], log: LimitedLog
    ) -> None:
        self._current, self._calls, self._spent, self._wall, self._log = current, calls, spent, wall, log
        self._countries = CalledCountries()
        self.reached: Counter[str] = Counter()
        self._lately: dict[str, tuple[float, str]] = {}
        self._next_look = 0.0

    @property
    def lately(self) -> Sequence[str]:
        """Say who has reached a bound in the last day, the newest last."""
        since = self._wall() - SHOWN_S
        return [why for at, why in self._lately.values() if at >= since]

    # A call that begins

    def refusal(self, plan: DialPlan, user: str, number: str, ringing: Sequence[str], now: float) -> str:
        """Say why *user* may not call *number* now; "" if the user may. *ringing* are the numbers that the user calls already."""
        found = plan.class_of(number)
        if found is not None and found.hours is not None and self._minute(plan.zone) not in found.hours:
            return self._alarm("hours", user, f"calls {found.name} numbers outside of their hours")
        for name, bounds in bounds_of(plan, number):
            up = [call for call in self._calls.of_user(user) if is_in(plan, call.number, name)]
            count = len(up) + sum(is_in(plan, one, name) for one in ringing)
            if bounds.calls is not None and count >= bounds.calls:
                return self._alarm("calls", user, f"has {bounds.calls} calls at the same time{of_class(name)}")
            if bounds.minutes is not None and self._seconds(user, name, up, now) >= 60.0 * bounds.minutes:
                return self._alarm("minutes", user, f"has used {bounds.minutes} minutes in 24 hours{of_class(name)}")
            if bounds.countries is not None and self._is_one_more(user, name, number, bounds.countries, now):
                why = f"has called {bounds.countries} countries in 24 hours{of_class(name)}, and calls one more"
                return self._alarm("countries", user, why)
        for name, bounds in bounds_of(plan, number):
            if bounds.countries is not None:
                self._countries.add((user, name), country_of(number), now)
        return ""

    def refusal_to_forward(
        self, user: str, forwarded: ForwardedCaller, ringing: Sequence[ForwardedCaller | None]
    ) -> str:
        """Say why the rules of *user* may not forward one more call of a caller; "" if they may.

        *ringing* are the callers of the calls of the user that ring; None for a call that the user makes. A caller who is not
        told, by a front end of an earlier version or by a phone that has forwarded itself, counts with all others of this kind.
        """
        callers = (*(call.forwarded for call in self._calls.of_user(user)), *ringing)
        found = [one for one in callers if one is not None and one.source == forwarded.source]
        if len(found) >= MOST_FORWARDED:
            return self._alarm(
                "forwarded", user, f"forwards {MOST_FORWARDED} calls of one trunk or partner, and gets one more"
            )
        if forwarded.caller and found.count(forwarded) >= MOST_OF_CALLER:
            return self._alarm("forwarded", user, f"forwards {MOST_OF_CALLER} calls of one caller, and gets one more")
        return ""

    def _is_one_more(self, user: str, name: str, number: str, most: int, now: float) -> bool:
        """Tell whether *number* is in another country than the *most* that *user* has called."""
        called = self._countries.of((user, name), now)
        return len(called) >= most and country_of(number) not in called

    def has_minutes(self, trunk: TrunkRoute, now: float) -> bool:
        """Tell whether calls to *trunk* have minutes left."""
        if trunk.minutes is None:
            return True
        is_left = self._seconds("", trunk.name, self._calls.of_trunk(trunk.name), now) < 60.0 * trunk.minutes
        if not is_left:
            self._alarm("trunk-minutes", trunk.name, f"has carried {trunk.minutes} minutes in 24 hours")
        return is_left

    # What is used of the bounds

    def minutes_of(self, trunk: str, now: float) -> int:
        """Give the whole minutes that our users have called through *trunk* in 24 hours."""
        return int(self._seconds("", trunk, self._calls.of_trunk(trunk), now) // 60.0)

    def callers(self, now: float) -> list[Caller]:
        """Give the users who have used half of a bound or more, those who have called most first.

        They are in the status, which each operator reads: it says nothing of the calls of other users.
        """
        names = self._current.value.trunk_names
        if names is None or names.plan.per_user == NO_BOUNDS:
            return []
        up: dict[str, list[TrunkCall]] = {}
        for call in self._calls.up():
            if call.user:
                up.setdefault(call.user, []).append(call)
        lately = (*self._spent.users(MOST_CALLERS_LOOKED_AT), *self._countries.users(MOST_CALLERS_LOOKED_AT))
        users = dict.fromkeys((*up, *lately))
        found = [self._caller(user, up.get(user, []), names.plan.per_user, now) for user in users]
        found.sort(key=lambda one: -one.minutes)
        return [one for one in found if one.is_near][:MOST_CALLERS]

    def _caller(self, user: str, up: Sequence[TrunkCall], bounds: Bounds, now: float) -> Caller:
        minutes, countries = int(self._seconds(user, "", up, now) // 60.0), len(self._countries.of((user, ""), now))
        return Caller(user.removeprefix("sip:"), len(up), minutes, countries, bounds)

    def _seconds(self, user: str, name: str, up: Sequence[TrunkCall], now: float) -> float:
        """Give the seconds of calls that have ended in the last day, and of those that are up."""
        return self._spent.of((user, name), now) + sum(now - call.since for call in up)

    def _minute(self, zone: str) -> int:
        at = datetime.fromtimestamp(self._wall(), ZoneInfo(zone))
        return 60 * at.hour + at.minute

    # Calls that are up

    def to_end(self, now: float) -> list[TrunkCall]:
        """Give the calls that may not go on, every few seconds: too long, or their user has no minutes left."""
        names = self._current.value.trunk_names
        if now < self._next_look or names is None:
            return []
        self._next_look = now + LOOKED_S
        self._calls.purge()
        return [call for call in self._calls.up() if self._is_over(names.plan, call, now)]

    def _is_over(self, plan: DialPlan, call: TrunkCall, now: float) -> bool:
        names = self._current.value.trunk_names
        route = names.trunks.trunks.get(call.trunk) if names is not None else None
        if route is None or now - call.since > 60.0 * route.longest_call:
            self.reached["longest-call"] += 1
            return True
        if not call.user:
            return False
        for name, bounds in bounds_of(plan, call.number):
            up = [one for one in self._calls.of_user(call.user) if is_in(plan, one.number, name)]
            if bounds.minutes is not None and self._seconds(call.user, name, up, now) >= 60.0 * bounds.minutes:
                self._alarm("minutes", call.user, f"has used {bounds.minutes} minutes in 24 hours{of_class(name)}")
                return True
        return not self.has_minutes(route, now)

    def _alarm(self, bound: str, who: str, why: str) -> str:
        """Say that a bound was reached: in the log, in a metric, and in the status."""
        text = f"{who.removeprefix('sip:')} {why}"
        self.reached[bound] += 1
        self._log.warning(who, "bound of calls reached", who=who.removeprefix("sip:"), bound=bound, why=text)
        self._lately.pop(who, None)
        self._lately[who] = self._wall(), text
        if len(self._lately) > MOST_SHOWN:
            del self._lately[next(iter(self._lately))]
        return text


def bounds_of(plan: DialPlan, number: str) -> list[tuple[str, Bounds]]:
    """Give the bounds of one user for *number*: those of all numbers, under "", and those of its class; none without bounds."""
    found = plan.class_of(number)
    named = [("", plan.per_user), *([(found.name, found.per_user)] if found is not None else [])]
    return [one for one in named if one[1] is not NO_BOUNDS]


def is_in(plan: DialPlan, number: str, name: str) -> bool:
    """Tell whether *number* is in the class *name*; each is in ""."""
    if not name:
        return True
    found = plan.class_of(number)
    return found is not None and found.name == name


def of_class(name: str) -> str:
    """Give the words for the class *name*; "" for all numbers."""
    return f" to {name} numbers" if name else ""
