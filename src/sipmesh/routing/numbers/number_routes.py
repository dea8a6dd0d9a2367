"""By which trunks a call leaves: by its number, the site and the name of its caller, and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from sipmesh.routing.numbers.dial_plan import hours_of
from sipmesh.routing.numbers.trunk_table import longest

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.routing.numbers.call_bounds import Hours
    from sipmesh.routing.numbers.trunk_table import TrunkRoute
    from sipmesh.sip.uri import SipUri
    from sipmesh.topology.document.parts.dialling import NumberRoute
    from sipmesh.topology.document.parts.numbers import Numbers

WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TRUNKS: Final = "trunks"
"""The URI parameter by which a front end tells a gateway the trunks of a call, in their order."""
BETWEEN: Final = "+"


@dataclass(frozen=True, slots=True)
class Route:
    """Calls to numbers that begin with *numbers* leave by *trunks* alone, in their order.

    *sites* and *users* are those of its callers, *hours* and *days* those at which its calls begin, in the time zone *zone*.
    Nothing given is no condition.
    """

    name: str
    numbers: tuple[str, ...]
    trunks: tuple[str, ...]
    sites: frozenset[str]
    users: frozenset[str]
    hours: Hours | None
    days: frozenset[str]
    zone: tzinfo

    def holds(self, user: str | None, site: str, at: datetime) -> bool:
        """Tell whether a call of *user* from *site* leaves by this route at the instant *at*."""
        is_from = not self.sites or site in self.sites
        is_of = not self.users or user in self.users
        return is_from and is_of and self.is_open(at)

    def is_open(self, at: datetime) -> bool:
        """Tell whether calls by this route may begin at the instant *at*. Behind midnight, hours are of the day before."""
        local = at.astimezone(self.zone)
        minute, day = 60 * local.hour + local.minute, local.weekday()
        if self.hours is not None and self.hours.end < self.hours.begin and minute < self.hours.end:
            day -= 1
        return (self.hours is None or minute in self.hours) and (not self.days or WEEK[day] in self.days)


def route_for(routes: Sequence[Route], number: str, user: str | None, site: str, at: datetime) -> Route | None:
    """Give the route of a call to *number*: the longest match of those that hold, of several the first; None if none holds."""
    found = [(longest(route.numbers, number), route) for route in routes if route.holds(user, site, at)]
    length, route = max(found, key=lambda one: one[0], default=(0, None))
    return route if length else None


def named_only(trunks: Sequence[TrunkRoute], names: Sequence[str]) -> Sequence[TrunkRoute]:
    """Give those of *trunks* that *names* name, in the order of *names*."""
    by_name = {trunk.name: trunk for trunk in trunks}
    return [by_name[name] for name in names if name in by_name]


def named_first(trunks: Sequence[TrunkRoute], names: Sequence[str]) -> Sequence[TrunkRoute]:
    """Give *trunks*, those that *names* name first."""
    return [*named_only(trunks, names), *(trunk for trunk in trunks if trunk.name not in names)]


def with_trunks(uri: str, trunks: Sequence[str]) -> str:
    """Write the Request-URI by which a gateway calls *uri* through *trunks*."""
    return f"{uri};{TRUNKS}={BETWEEN.join(trunks)}" if trunks else uri


def trunks_in(uri: SipUri) -> Sequence[str]:
    """Give the trunks that a front end has named in a Request-URI; none if it has named none."""
    return tuple(filter(None, (uri.param(TRUNKS) or "").split(BETWEEN)))


def routes_of(numbers: Numbers) -> Sequence[Route]:
    """Return the routes that a topology says."""
    return tuple(route_of(one, numbers.time_zone) for one in numbers.routes)


def route_of(given: NumberRoute, zone: str) -> Route:
    """Return one route; *zone* is the time zone of a route that has none."""
    return Route(
        given.name,
        given.numbers,
        given.trunks,
        frozenset(given.sites),
        frozenset(f"sip:{user}" for user in given.users),
        hours_of(given.hours),
        frozenset(map(str, given.days)),
        ZoneInfo(given.time_zone or zone),
    )
