"""The machine's clock, and whether it is reliable enough to sign: a CRL from the future makes servers refuse all peers.

The clock is in doubt for a minute after it was set, and if it is far from the CA's last signature at the start. By then time
synchronisation has corrected it, or it has run steadily. Other servers prove it wrong only by a majority of all clocks, ours
included: the report of one server neither stops nor allows a signature.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

STEADY_S: Final = 60.0
JUMP: Final = timedelta(minutes=5)
"""A clock may jump by this much: certificates and CRLs are backdated by as much."""

GAP: Final = timedelta(hours=36)
"""A CA in operation signs a CRL each day; a longer gap puts the clock in doubt."""


def now_utc() -> datetime:
    """Return the machine's time with its time zone, UTC."""
    return datetime.now(UTC)


class ClockWatch:
    """Compares the machine's clock with the monotonic clock of the loop, which is never set; seconds."""

    def __init__(self, signed_last: datetime | None = None) -> None:
        self._signed_last = signed_last
        self._seen: tuple[float, datetime] | None = None
        self._doubted_since: float | None = None

    def look(self, steady: float, wall: datetime) -> bool:
        """Compare both clocks; True if the machine's clock is in doubt from now on."""
        before, self._seen = self._seen, (steady, wall)
        if before is None:
            odd = self._signed_last is not None and not -JUMP <= wall - self._signed_last <= GAP
        else:
            odd = abs((wall - before[1]) - timedelta(seconds=steady - before[0])) > JUMP
        if odd:
            self._doubted_since = steady
        return odd

    def may_sign(self, steady: float, others_s: Collection[float] = ()) -> bool:
        """Return whether to sign now; *others_s* are the seconds by which the clocks of other servers are ahead of ours."""
        if majority_ahead_s(others_s):
            return False
        if self._doubted_since is not None and steady - self._doubted_since < STEADY_S:
            return False
        self._doubted_since = None
        return True


def majority_ahead_s(others_s: Collection[float]) -> float:
    """Return by how many seconds a majority of all clocks is ahead of ours; negative if behind, 0.0 if there is no majority.

    Ours is one of the clocks, so that one other server is never a majority. Clocks that differ by `JUMP` at most agree.
    """
    agreed = JUMP.total_seconds()
    ahead = [seconds for seconds in others_s if seconds > agreed]
    behind = [seconds for seconds in others_s if seconds < -agreed]
    more = max(ahead, behind, key=len)
    return median(more) if 2 * len(more) > len(others_s) + 1 else 0.0
