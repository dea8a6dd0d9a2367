"""The delegates of users in memory: for whom each of them may call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class DelegateIndex:
    """Finds the users who have named a delegate."""

    __slots__ = ("_bosses", "_delegates")

    def __init__(self) -> None:
        self._delegates: dict[str, Sequence[str]] = {}
        self._bosses: dict[str, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._delegates)

    def copy(self) -> DelegateIndex:
        """Return an independent copy."""
        other = DelegateIndex()
        other._delegates, other._bosses = dict(self._delegates), dict(self._bosses)
        return other

    def bosses(self, delegate: str) -> frozenset[str]:
        """Return the users for whom *delegate* may call."""
        return self._bosses.get(delegate, frozenset())

    def put(self, aor: str, delegates: Sequence[str]) -> None:
        """Replace the delegates of a user."""
        for delegate in self._delegates.pop(aor, ()):
            if left := self._bosses[delegate] - {aor}:
                self._bosses[delegate] = left
            else:
                del self._bosses[delegate]
        if kept := tuple(dict.fromkeys(delegates)):
            self._delegates[aor] = kept
            for delegate in kept:
                self._bosses[delegate] = self.bosses(delegate) | {aor}
