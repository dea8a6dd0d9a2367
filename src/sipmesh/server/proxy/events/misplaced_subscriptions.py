"""Subscriptions at a server that is not the notifier of their user any more: they end, and the watchers subscribe again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.routing.events.notifier_choice import notifier_of

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.events.notifier import EventNotifier
    from sipmesh.server.proxy.liveness.outages import Outages

SETTLED_S: Final = 10.0
"""How long the servers of the pool have to be the same before subscriptions move: each server notices an outage by itself."""

MOST_MOVED: Final = 200
"""Users whose subscriptions end in one sweep."""


class MisplacedSubscriptions:
    """Looks for them once a server of the pool answers again, or the pool has other servers; *clock* gives seconds of the loop.

    Otherwise what a user publishes at its notifier would not reach the watchers at the server that stood in for it.
    """

    def __init__(self, notifier: EventNotifier, outages: Outages, current: Current, clock: Callable[[], float]) -> None:
        self._notifier, self._outages, self._current, self._clock = notifier, outages, current, clock
        self._servers = current.value.view.pool.servers
        self._down: frozenset[str] = frozenset()
        self._look_at = 0.0  # 0: there is nothing to look for
        self._misplaced: list[str] = []

    def sweep(self) -> None:
        """End some of them; called about twice a second."""
        now, down, servers = self._clock(), frozenset(self._outages.names), self._current.value.view.pool.servers
        if down != self._down or servers != self._servers:
            self._down, self._servers = down, servers
            self._look_at = now + SETTLED_S
        if self._look_at and now >= self._look_at:
            self._look_at = 0.0
            self._misplaced = [aor for aor in self._notifier.users() if self._is_misplaced(aor)]
        for _ in range(min(MOST_MOVED, len(self._misplaced))):
            aor = self._misplaced.pop()
            if self._is_misplaced(aor):
                self._notifier.moved(aor)

    def _is_misplaced(self, aor: str) -> bool:
        return notifier_of(aor, self._servers, self._down) != self._current.value.view.name
