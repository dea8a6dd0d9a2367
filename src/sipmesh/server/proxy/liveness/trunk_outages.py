"""Trunks that have failed: calls go to other trunks first for a while, so that callers do not wait for a dead trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.server.quotas.limited_log import LimitedLog

FIRST_PAUSE_S: Final = 30.0
LONGEST_PAUSE_S: Final = 480.0


class TrunkOutages:
    """The trunks that have failed, by name: until when each is tried last, and how long its last pause was.

    A trunk that fails again is tried last for twice as long. Only a trunk that has carried a call is as good as before. *clock*
    gives the loop time.
    """

    def __init__(self, clock: Callable[[], float], log: LimitedLog) -> None:
        self._clock, self._log = clock, log
        self._failed: dict[str, tuple[float, float]] = {}

    def __repr__(self) -> str:
        return f"<TrunkOutages of {', '.join(self._failed) or 'no trunk'}>"

    def failed(self, name: str) -> None:
        """A call has gone on to the next trunk, because the trunk *name* was silent, refused it or could not be reached."""
        until, pause = self._failed.get(name, (0.0, FIRST_PAUSE_S / 2))
        now = self._clock()
        if now < until:  # of a call that was sent before
            return
        pause = min(2 * pause, LONGEST_PAUSE_S)
        self._failed[name] = now + pause, pause
        self._log.warning(name, "trunk has failed", peer=name, tried_last_for_s=round(pause))

    def answered(self, name: str) -> None:
        """The trunk *name* carries a call."""
        if self._failed.pop(name, None) is not None:
            self._log.info(name, "trunk carries calls again", peer=name)

    def last(self, names: Sequence[str]) -> list[str]:
        """Give *names* in their order, but those that have failed a short time ago last."""
        if not self._failed:
            return list(names)
        now = self._clock()
        return sorted(names, key=lambda name: now < self._failed.get(name, (0.0, 0.0))[0])
