"""The machine's clock, and whether it may be relied on for a signature: a list that begins in the future refuses everybody.

A clock that is set, or that is far from the last signature of the CA when a server starts, is doubted for a minute: by then time
synchronisation has mended it, or it agrees with itself. Servers that report another time are believed more than it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

STEADY_S: Final = 60.0
JUMP: Final = timedelta(minutes=5)
"""What a clock may be moved by: as much as certificates and lists are backdated by."""

GAP: Final = timedelta(hours=36)
"""A CA at work signs a list each day."""


def now_utc() -> datetime:
    """The machine's time, with its time zone, which is UTC."""
    return datetime.now(UTC)


class ClockWatch:
    """Compares the machine's clock with one that is never set, in seconds of the loop."""

    def __init__(self, signed_last: datetime | None = None) -> None:
        self._signed_last = signed_last
        self._seen: tuple[float, datetime] | None = None
        self._doubted_since: float | None = None

    def __repr__(self) -> str:
        return f"<ClockWatch {'in doubt' if self._doubted_since is not None else 'steady'}>"

    def look(self, steady: float, wall: datetime) -> bool:
        """Look at both clocks; True where the one of the machine is doubted from now on."""
        before, self._seen = self._seen, (steady, wall)
        if before is None:
            odd = self._signed_last is not None and wall - self._signed_last > GAP
        else:
            odd = abs((wall - before[1]) - timedelta(seconds=steady - before[0])) > JUMP
        if odd:
            self._doubted_since = steady
        return odd

    def may_sign(self, steady: float, others_s: Collection[float] = ()) -> bool:
        """Whether to sign now; *others_s* are by how many seconds other servers' clocks are ahead of this one."""
        if others_s and all(abs(one) > JUMP.total_seconds() for one in others_s):
            return False
        if self._doubted_since is None or others_s:
            self._doubted_since = None
            return True
        if steady - self._doubted_since < STEADY_S:
            return False
        self._doubted_since = None
        return True
