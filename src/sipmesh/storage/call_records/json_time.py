"""Instants and durations as the JSON of records has them. Each call has some, and `datetime.isoformat` costs it microseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, final

_MICROSECONDS: Final = 1_000_000
_MINUTE_S: Final = 60
_SECONDS: Final = [f"{second:02d}." for second in range(_MINUTE_S)]


@final
class JsonClock:
    """Writes Unix times; the text of the last minute is kept."""

    __slots__ = ("_begins", "_minute")

    def __init__(self) -> None:
        self._minute, self._begins = -1, ""

    def instant(self, unix: float) -> str:
        """Write a Unix time as a JSON string: ISO 8601 in UTC, with microseconds."""
        second = int(unix)
        minute = second // _MINUTE_S
        if minute != self._minute:
            self._minute = minute
            self._begins = datetime.fromtimestamp(minute * _MINUTE_S, UTC).strftime('"%Y-%m-%dT%H:%M:')
        fraction = str(_MICROSECONDS + int((unix - second) * _MICROSECONDS))[1:]
        return f'{self._begins}{_SECONDS[second - minute * _MINUTE_S]}{fraction}+00:00"'


def duration(seconds: float) -> str:
    """Write *seconds* as a JSON number with milliseconds; a clock that was set back makes no duration below zero."""
    whole = int(seconds * 1_000 + 0.5) if seconds > 0.0 else 0
    return f"{whole // 1_000}.{str(1_000 + whole % 1_000)[1:]}"
