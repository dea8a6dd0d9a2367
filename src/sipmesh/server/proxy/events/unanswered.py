"""Stored messages that a phone has refused, or has not answered a few times: it does not get them again on the same link."""

from __future__ import annotations

from typing import Final

MOST_ATTEMPTS: Final = 3
"""Attempts to send one message on one link that is up, without an answer."""

MOST_OF_USER: Final = 1_000
"""Pairs of a message and a flow that are kept for one user; the oldest is forgotten."""

MOST_USERS: Final = 10_000
"""Users with such pairs; the user who got the first one longest ago is forgotten."""


class UnansweredAttempts:
    """Counts for each user, by the number of the message and the flow of the phone: on a new link, a phone starts again."""

    def __init__(self) -> None:
        self._of: dict[str, dict[tuple[int, str], int]] = {}

    def add(self, aor: str, number: int, flow: str) -> None:
        """Count one more attempt."""
        if aor not in self._of and len(self._of) >= MOST_USERS:
            del self._of[next(iter(self._of))]
        counts = self._of.setdefault(aor, {})
        key = (number, flow)
        if key not in counts and len(counts) >= MOST_OF_USER:
            del counts[next(iter(counts))]
        counts[key] = counts.get(key, 0) + 1

    def spend(self, aor: str, number: int, flow: str) -> None:
        """Stop the attempts: the phone has refused the message."""
        for _ in range(MOST_ATTEMPTS):
            self.add(aor, number, flow)

    def are_spent(self, aor: str, number: int, flow: str) -> bool:
        """Tell whether that message was sent on that flow too often."""
        counts = self._of.get(aor)
        return counts is not None and counts.get((number, flow), 0) >= MOST_ATTEMPTS

    def forget(self, aor: str) -> None:
        """Forget a user who has no messages any more."""
        self._of.pop(aor, None)
