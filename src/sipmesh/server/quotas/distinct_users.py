"""How many different users of ours each partner addresses: who tries names one after another is looking for users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    from sipmesh.server.quotas.usage import UsageObserver

WINDOW_S: Final = 3600.0
"""A user counts for one to two of these after the last request."""


class _Addressed:
    """The users whom one partner has addressed, by hash: in the present window, and only in the window before.

    *found_by* counts the users of the present window by the sender who was the first to address them.
    """

    __slots__ = ("before", "began_at", "found_by", "now")

    def __init__(self, began_at: float) -> None:
        self.began_at = began_at
        self.now: set[int] = set()
        self.before: set[int] = set()
        self.found_by = Counter[int]()

    def add(self, finder: int, user: int) -> None:
        """Count a user whom the sender *finder* has addressed; a user of the window before was counted for its sender then."""
        if user not in self.before and user not in self.now:
            self.found_by[finder] += 1
        self.before.discard(user)
        self.now.add(user)


class DistinctUsers:
    """Counts at most *most* users for each partner; *clock* returns seconds that never go back.

    One sender of a partner adds at most *most_of_sender* in a window, so that the other senders find users too. Only hashes are
    kept, so that a partner fills no memory with long names. *observer* gets each further user of a partner: the
    partner, and the hashes of the sender and of the user, which are the same in each process of this server.
    """

    def __init__(
        self, most: int, most_of_sender: int, clock: Callable[[], float], observer: UsageObserver | None = None
    ) -> None:
        self._most, self._most_of_sender, self._clock = most, most_of_sender, clock
        self._partners: dict[str, _Addressed] = {}
        self._observer = observer

    def count(self, partner: str) -> int:
        """Return how many users *partner* has addressed."""
        addressed = self._partners.get(partner)
        return len(addressed.now) + len(addressed.before) if addressed is not None else 0

    def admits(self, partner: str, sender: str, user: str) -> bool:
        """Count a request of a *sender* of *partner* to *user*; False if this is one user too many.

        Users who are counted are admitted, for each sender.
        """
        addressed, mark = self._of(partner), _hash_of(user)
        if mark in addressed.now:
            return True
        finder = _hash_of(ascii_lower(sender))
        if mark not in addressed.before:
            is_full = len(addressed.now) + len(addressed.before) >= self._most
            if is_full or addressed.found_by[finder] >= self._most_of_sender:
                return False
        addressed.add(finder, mark)
        if self._observer is not None:
            self._observer.addressed(partner, finder, mark)
        return True

    def addressed_elsewhere(self, partner: str, finder: int, user: int) -> None:
        """Count a user whom *partner* has addressed at another process; both are hashes."""
        self._of(partner).add(finder, user)

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


def _hash_of(name: str) -> int:
    """Return 64 bits of a hash that each process of this server computes alike."""
    return int.from_bytes(blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest())
