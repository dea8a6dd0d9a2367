"""When one source is asked next: by what is left of what it gave last, and by how often it has failed since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

SOONEST, LATEST = timedelta(minutes=1), timedelta(hours=24)
"""Between two fetches that succeed, however long what came still counts."""

FIRST_RETRY, LAST_RETRY = timedelta(minutes=1), timedelta(hours=1)
JITTER = 0.2
"""The part of a pause that is left to chance, so that servers do not all come at once."""

PATIENCE = timedelta(hours=12)
"""How long a source may fail before that is an alarm, however long what is held still counts."""


@dataclass(slots=True)
class Backoff:
    """The pace of one source; *chance* gives a number from 0 to 1. Instants are timezone-aware.

    *why* is the reason of the last failure, and *failing_since* when the first of those in a row was.
    """

    chance: Callable[[], float]
    failures: int = 0
    why: str = ""
    failing_since: datetime | None = None

    def succeeded(self, at: datetime, ends: datetime) -> timedelta:
        """Say how long to wait after what came at the instant *at* and counts until *ends*."""
        self.failures, self.why, self.failing_since = 0, "", None
        return self._about(min(max((ends - at) / 2, SOONEST), LATEST))

    def failed(self, at: datetime, why: str) -> timedelta:
        """Say how long to wait after a failure: twice as long each time, up to an hour."""
        self.failing_since = self.failing_since or at
        self.why = why
        pause = min(FIRST_RETRY * 2 ** min(self.failures, 10), LAST_RETRY)
        self.failures += 1
        return self._about(pause)

    def alarms(self, at: datetime, ends: datetime | None) -> bool:
        """Whether somebody has to be told: long before what is held no longer counts, which is at *ends*."""
        if self.failing_since is None:
            return False
        failing = at - self.failing_since
        return ends is None or failing >= PATIENCE or failing > (ends - at) / 4

    def _about(self, pause: timedelta) -> timedelta:
        return pause * (1 - JITTER * self.chance())
