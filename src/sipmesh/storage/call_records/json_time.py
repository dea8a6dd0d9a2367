"""Instants and durations as the JSON of records has them. Each call has some, and `datetime.isoformat` costs it microseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_MICROSECONDS: Final = 1_000_000
_MINUTE_S: Final = 60
_MOST_KEPT: Final = 64
_minutes: Final[dict[int, str]] = {}
_SECONDS: Final = tuple([f"{second:02d}." for second in range(_MINUTE_S)])


def instant(unix: float) -> str:
    """Write a Unix time as a JSON string: ISO 8601 in UTC, with microseconds."""
    whole = int(unix * _MICROSECONDS + 0.5)
    second = whole // _MICROSECONDS
    minute = second // _MINUTE_S
    begins = _minutes.get(minute)
    if begins is None:
        begins = _begin(minute)
    fraction = str(_MICROSECONDS + whole % _MICROSECONDS)[1:]
    return f'{begins}{_SECONDS[second % _MINUTE_S]}{fraction}+00:00"'


def _begin(minute: int) -> str:
    """Write the first half of an instant, up to its minute; the latest minutes are kept."""
    if len(_minutes) >= _MOST_KEPT:
        _minutes.clear()
    begins = _minutes[minute] = datetime.fromtimestamp(minute * _MINUTE_S, UTC).strftime('"%Y-%m-%dT%H:%M:')
    return begins


def duration(seconds: float) -> str:
    """Write *seconds* as a JSON number with milliseconds; a clock that was set back makes no duration below zero."""
    whole = int(max(0.0, seconds) * 1_000 + 0.5)
    return f"{whole // 1_000}.{str(1_000 + whole % 1_000)[1:]}"
