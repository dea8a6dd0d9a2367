"""How many different users of ours each partner addresses: who tries names one after another is looking for users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from sipmesh.sip.text import ascii_lower

WINDOW_S: Final = 3600.0
"""A user counts for one to two of these after the last request."""


class _Addressed:
    """The users whom one partner has addressed, by hash: in the present window, and only in the one before.

    *found_by* counts the users of the present window by the sender who was the first to address them.
    """

    __slots__ = ("before", "began_at", "found_by", "now")

    def __init__(self, began_at: float) -> None:
        self.began_at = began_at
        self.now: set[int] = set()
        self.before: set[int] = set()
        self.found_by = Counter[int]()


class DistinctUsers:
    """Counts at most *most* users for each partner; *clock* returns seconds that never go back.

    One sender of a partner adds at most *most_of_sender* in a window, so that the other senders find users too. Only hashes are
    kept, so that a partner fills no memory with long names.
    """

    def __init__(self, most: int, most_of_sender: int, clock: Callable[[], float]) -> None:
        self._most, self._most_of_sender, self._clock = most, most_of_sender, clock
        self._partners: dict[str, _Addressed] = {}

    def __repr__(self) -> str:
        return f"<DistinctUsers of {len(self._partners)} partners, {self._most} at most>"

    def count(self, partner: str) -> int:
        """Return how many users *partner* has addressed."""
        addressed = self._partners.get(partner)
        return len(addressed.now) + len(addressed.before) if addressed is not None else 0

    def admits(self, partner: str, sender: str, user: str) -> bool:
        """Count a request of a *sender* of *partner* to *user*; False if this is one user too many.

        Users who are counted are admitted, whoever was the first to address them.
        """
        addressed, mark = self._of(partner), hash(user)
        if mark in addressed.now:
            return True
        if mark not in addressed.before:
            finder = hash(ascii_lower(sender))
            is_full = len(addressed.now) + len(addressed.before) >= self._most
            if is_full or addressed.found_by[finder] >= self._most_of_sender:
                return False
            addressed.found_by[finder] += 1
        addressed.before.discard(mark)
        addressed.now.add(mark)
        return True

    def _of(self, partner: str) -> _Addressed:
        """Return the users of *partner*, after those of too long ago are forgotten."""
        now = self._clock()
        addressed = self._partners.get(partner)
        if addressed is None or now - addressed.began_at >= 2 * WINDOW_S:
            addressed = self._partners[partner] = _Addressed(now)
        elif now - addressed.began_at >= WINDOW_S:
            addressed.before, addressed.now, addressed.began_at = addressed.now, set(), now
            addressed.found_by.clear()
        return addressed
