"""Calls that still ring on one link: INVITEs of new calls that were sent on it and wait for their final response."""

from __future__ import annotations


class RingingCalls:
    """Counts such INVITEs by Call-ID: a fork may send several of one call on the same link."""

    __slots__ = ("_invites",)

    def __init__(self) -> None:
        self._invites: dict[str, int] = {}

    def __contains__(self, call_id: str) -> bool:
        """Whether an INVITE of this call waits."""
        return call_id in self._invites

    def __len__(self) -> int:
        """How many calls ring."""
        return len(self._invites)

    @property
    def invites(self) -> int:
        """How many INVITEs wait."""
        return sum(self._invites.values())

    def add(self, call_id: str) -> None:
        """An INVITE of a new call was sent."""
        self._invites[call_id] = self._invites.get(call_id, 0) + 1

    def remove(self, call_id: str) -> None:
        """One of its INVITEs waits no longer."""
        left = self._invites.get(call_id, 0) - 1
        if left > 0:
            self._invites[call_id] = left
        else:
            self._invites.pop(call_id, None)
