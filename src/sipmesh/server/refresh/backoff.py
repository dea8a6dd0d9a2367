"""The time of the next fetch from one source: from the validity of its last result, and from its failures since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

SOONEST, LATEST = timedelta(minutes=1), timedelta(hours=24)
"""Limits of the pause after a successful fetch, however long the result is valid."""

FIRST_RETRY, LAST_RETRY = timedelta(minutes=1), timedelta(hours=1)
JITTER = 0.2
"""The random part of a pause, so that servers do not all fetch at the same time."""

PATIENCE = timedelta(hours=12)
"""A source that has failed for this long causes an alarm, however long its stored result is valid."""


@dataclass(slots=True)
class Backoff:
    """The fetch times of one source; *chance* returns a number from 0 to 1. Times have a time zone.

    *why* is the reason of the last failure; *failing_since* is the time of the first failure in a row.
    """

    chance: Callable[[], float]
    failures: int = 0
    why: str = ""
    failing_since: datetime | None = None

    def succeeded(self, at: datetime, ends: datetime) -> timedelta:
        """Return the pause after a result that was fetched at *at* and is valid until *ends*."""
        self.failures, self.why, self.failing_since = 0, "", None
        return self._about(min(max((ends - at) / 2, SOONEST), LATEST))

    def failed(self, at: datetime, why: str) -> timedelta:
        """Return the pause after a failure: it doubles with each failure, up to an hour."""
        self.failing_since = self.failing_since or at
        self.why = why
        pause = min(FIRST_RETRY * 2 ** min(self.failures, 10), LAST_RETRY)
        self.failures += 1
        return self._about(pause)

    def alarms(self, at: datetime, ends: datetime | None) -> bool:
        """Return whether an operator has to know: long before the stored result expires, which is at *ends*."""
        if self.failing_since is None:
            return False
        failing = at - self.failing_since
        return ends is None or failing >= PATIENCE or failing > (ends - at) / 4

    def _about(self, pause: timedelta) -> timedelta:
        return pause * (1 - JITTER * self.chance())
