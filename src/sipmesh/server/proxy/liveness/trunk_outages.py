"""Trunks that have failed: calls go to other trunks first for a while, so that callers do not wait for a dead trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.server.quotas.limited_log import LimitedLog

FIRST_PAUSE_S: Final = 30.0
LONGEST_PAUSE_S: Final = 480.0

TURNED_BY: Final = 2
"""Answers in a row to OPTIONS by which a trunk is silent or answers again: one lost answer changes nothing."""

REFUSED_BY: Final = 10
"""Calls in a row, of two callers or more, that a trunk refuses before any of them rings: a number may be wrong or busy, but not
ten in a row. One caller may send what no trunk accepts."""


class TrunkOutages:
    """The trunks that have failed, by name: until when each is tried last, and how long its last pause was.

    A trunk that fails again is tried last for twice as long. Only a trunk that has carried a call is as good as before. *clock*
    gives the loop time.
    """

    def __init__(self, clock: Callable[[], float], log: LimitedLog) -> None:
        self._clock, self._log = clock, log
        self._failed: dict[str, tuple[float, float]] = {}
        self._silent: set[str] = set()
        self._turning: dict[str, int] = {}
        self._refused: dict[str, tuple[int, int, str, bool]] = {}

    def failed(self, name: str) -> None:
        """A call has gone on to the next trunk, because the trunk *name* was silent, refused it or could not be reached."""
        until, pause = self._failed.get(name, (0.0, FIRST_PAUSE_S / 2))
        now = self._clock()
        if now < until:  # of a call that was sent before
            return
        pause = min(2 * pause, LONGEST_PAUSE_S)
        self._failed[name] = now + pause, pause
        self._log.warning(name, "trunk has failed", peer=name, tried_last_for_s=round(pause))

    def answered(self, name: str, *, is_new_call: bool = True) -> None:
        """The trunk *name* carries a call; *is_new_call*: it has begun now. A call from before says nothing of those after it."""
        if self._failed.pop(name, None) is not None:
            self._log.info(name, "trunk carries calls again", peer=name)
        if is_new_call:
            self._refused.pop(name, None)
        if name in self._silent:
            self._turn(name, is_well=True)

    def refused(self, name: str, status: int, caller: str) -> None:
        """The trunk *name* has refused a call of *caller* with *status* before it has rung."""
        was_told = self.why_refused(name)
        count, _, first, has_others = self._refused.get(name, (0, 0, caller, False))
        self._refused[name] = count + 1, status, first, has_others or caller != first
        if not was_told and self.why_refused(name):
            self._log.warning(name, "trunk refuses all calls", peer=name, status=status)

    def why_refused(self, name: str) -> str:
        """Return what a trunk says that refuses all calls; empty if it carries some."""
        count, status, _, has_others = self._refused.get(name, (0, 0, "", False))
        is_fault = count >= REFUSED_BY and has_others
        return f"it has refused the last {count} calls, the last one with {status}" if is_fault else ""

    def pinged(self, name: str, *, is_well: bool) -> bool:
        """The trunk *name* has answered an OPTIONS, or has not; tell whether it counts as silent now."""
        if is_well is not (name in self._silent):
            self._turning.pop(name, None)
            return name in self._silent
        count = self._turning.get(name, 0) + 1
        self._turning[name] = count % TURNED_BY
        if count >= TURNED_BY:
            self._turn(name, is_well=is_well)
        return name in self._silent

    def _turn(self, name: str, *, is_well: bool) -> None:
        if is_well:
            self._silent.discard(name)
            self._log.info(name, "trunk answers again", peer=name)
        else:
            self._silent.add(name)
            self._log.warning(name, "trunk does not answer", peer=name)

    def last(self, names: Sequence[str]) -> list[str]:
        """Give *names* in their order, but those last that fail."""
        if not self._failed and not self._silent:
            return list(names)
        return sorted(names, key=self.fails)

    def fails(self, name: str) -> bool:
        """Tell whether a trunk has failed a short time ago, or is silent."""
        return name in self._silent or self._clock() < self._failed.get(name, (0.0, 0.0))[0]
