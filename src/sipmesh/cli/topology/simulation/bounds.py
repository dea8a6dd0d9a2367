"""How much a user may call, and how much a trunk carries, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.routing.numbers.call_bounds import Bounds
    from sipmesh.routing.numbers.dial_plan import DialPlan, NumberClass
    from sipmesh.routing.numbers.trunk_table import TrunkRoute


def is_open(found: NumberClass, zone: str, at: datetime) -> bool:
    """Tell whether calls to a class of numbers may begin at the instant *at*."""
    local = at.astimezone(ZoneInfo(zone))
    return found.hours is None or 60 * local.hour + local.minute in found.hours


def bounds_told(plan: DialPlan, found: NumberClass | None, at: datetime) -> str:
    """Say how much the caller may call, and when."""
    told = [_bounds_of("each user", plan.per_user)]
    if found is not None:
        told.append(_bounds_of(f"each user, to {found.name} numbers", found.per_user))
    if found is not None and found.hours is not None:
        state = "open" if is_open(found, plan.zone, at) else "closed; the caller gets 403"
        local = at.astimezone(ZoneInfo(plan.zone))
        told.append(f"the hours of {found.name} numbers in {plan.zone}, where it is {local:%H:%M}: {state}")
    return "; ".join(filter(None, told)) or "none"


def trunk_bounds_told(trunk: TrunkRoute) -> str:
    """Say how much the trunk carries, as the end of a sentence."""
    bounds = {
        "channels": trunk.channels,
        "calls a second": trunk.calls_per_second,
        "minutes in 24 hours": trunk.minutes,
    }
    told = [f"{value} {name}" for name, value in bounds.items() if value is not None]
    return f"; it carries {', '.join([*told, f'calls of {trunk.longest_call} minutes'])} at most"


def _bounds_of(who: str, bounds: Bounds) -> str:
    told = [f"{bounds.calls} calls at the same time"] if bounds.calls is not None else []
    told += [f"{bounds.minutes} minutes in 24 hours"] if bounds.minutes is not None else []
    told += [f"{bounds.countries} countries in 24 hours"] if bounds.countries is not None else []
    return f"{who}: {', '.join(told)}" if told else ""
