"""What an operator reads of overload: one line of the log when requests begin to be refused, and one with the sums at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.routing.overload import OverloadControl
    from sipmesh.server.log import Log


class OverloadReport:
    """Watches *control* and writes to *log*; `tick` is called about twice a second."""

    def __init__(self, control: OverloadControl, log: Log) -> None:
        self.control, self._log = control, log
        self._episodes = 0
        self._refused = self._refused_last = 0
        self._open = False

    def tick(self, now: float) -> None:
        """Write what has changed until *now*, in seconds of the loop's clock."""
        control = self.control
        control.rest(now)
        if control.episodes != self._episodes:
            self._begin()
        if self._open and not control.active:
            self._end()

    def _begin(self) -> None:
        control = self.control
        self._episodes = control.episodes
        if self._open:
            return  # it ended and began again since the last tick
        self._open = True
        self._log.warning(
            "overload: new requests are refused with 503",
            age_ms=round(control.age_s * 1000),
            target_ms=round(control.target_s * 1000),
        )

    def _end(self) -> None:
        control, self._open = self.control, False
        self._log.warning(
            "overload is over",
            lasted_s=round(control.ended_at - control.began_at, 1),
            refused=control.refused - self._refused,
            refused_last=control.refused_last - self._refused_last,
            longest_age_ms=round(control.longest_s * 1000),
        )
        self._refused, self._refused_last = control.refused, control.refused_last
