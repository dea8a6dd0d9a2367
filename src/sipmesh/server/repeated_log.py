"""Limits log lines about something that others repeat, even if each repetition is different."""

from __future__ import annotations

from typing import Final

PERIOD_S: Final = 60.0


class RepeatedLog:
    """Decides for each key whether another line is due; the caller limits the number of keys."""

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self._period_s = period_s
        self._last: dict[str, float] = {}

    def is_due(self, key: str, at: float) -> bool:
        """Return whether there was no line for *key* in the last period; *at* is in seconds of a monotonic clock."""
        last = self._last.get(key)
        if last is not None and at - last < self._period_s:
            return False
        self._last[key] = at
        return True
