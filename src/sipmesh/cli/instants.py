"""Times as an operator types them: a day, a date, or so long ago, in the time zone of the terminal."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Final

from sipmesh.errors import OperatorError

_AGO: Final = re.compile(r"([0-9]{1,6})(s|m|min|h|d|w)", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_WANTED: Final = "write 2026-11-30, 2026-11-30T14:00, or so long ago: 30min, 2h, 7d"


def instant(text: str, now: datetime) -> datetime:
    """Read a time; *now* has the local time zone, which counts for a time without one. Raises `OperatorError`."""
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        given = datetime.fromisoformat(text)
        return given if given.tzinfo is not None else local(given, now)
    except (ValueError, OverflowError):
        raise OperatorError(f"{text} is no time; {_WANTED}") from None


def local(given: datetime, now: datetime) -> datetime:
    """Add the time zone of the machine, with its summer time, to a time without one; UTC, if *now* is in UTC."""
    return given.replace(tzinfo=UTC) if now.tzinfo is UTC else given.astimezone()


def day(now: datetime, ago: int) -> tuple[datetime, datetime]:
    """Give the begin and the end of a local day: 0 is today, 1 yesterday."""
    date = now.date() - timedelta(days=ago)
    return local(datetime.combine(date, time()), now), local(datetime.combine(date + timedelta(days=1), time()), now)


def zone(now: datetime) -> str:
    """Name the time zone of *now*."""
    offset = now.strftime("%z")
    name = now.tzname() or ""
    return name if name == "UTC" else f"{name} (UTC{offset[:3]}:{offset[3:]})"
