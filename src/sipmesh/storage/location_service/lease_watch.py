"""Which servers have stopped renewing their lease, judged without a clock that two servers would have to share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RENEW_EVERY_S: Final = 2.0
"""How often a server renews its lease, in seconds of a clock that is never set."""

MOST_MISSED: Final = 15
"""Renewals of our own during which another server has not made any: half a minute. It is gone, hangs, or is cut off."""


class LeaseWatch:
    """Compares how often other servers have renewed their leases with how often we have.

    Where no server can write to the store, no server falls behind. A machine that was suspended, or whose clock was
    set, ends no lease either: neither makes one server miss what another one does.
    """

    __slots__ = ("_missed", "_server")

    def __init__(self, server: str) -> None:
        self._server = server
        self._missed: dict[str, tuple[tuple[int, int], int]] = {}

    def renewed(self, leases: Mapping[str, tuple[int, int]]) -> list[tuple[str, int]]:
        """Take note of all *leases* (incarnation and renewals) after one of ours was renewed; gives those that have ended."""
        missed: dict[str, tuple[tuple[int, int], int]] = {}
        for server, lease in leases.items():
            if server != self._server:
                before, count = self._missed.get(server, (None, 0))
                missed[server] = lease, (count + 1 if before == lease else 0)
        self._missed = missed
        return [(server, lease[0]) for server, (lease, count) in missed.items() if count >= MOST_MISSED]
