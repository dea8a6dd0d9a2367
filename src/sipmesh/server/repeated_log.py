"""One line of the log for what somebody else repeats, however the repetitions differ."""

from __future__ import annotations

from typing import Final

PERIOD_S: Final = 60.0


class RepeatedLog:
    """Says for each of some keys whether it is time for another line; the caller bounds the keys."""

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self._period_s = period_s
        self._last: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<RepeatedLog {len(self._last)} keys, one line in {self._period_s:g} s each>"

    def is_due(self, key: str, at: float) -> bool:
        """Whether there was no line for *key* in the last period; *at* is in seconds of a clock that never goes back."""
        last = self._last.get(key)
        if last is not None and at - last < self._period_s:
            return False
        self._last[key] = at
        return True
