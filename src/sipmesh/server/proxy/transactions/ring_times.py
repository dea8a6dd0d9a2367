"""For how long calls ring whose callees have a rule about it."""

from __future__ import annotations

from dataclasses import dataclass

from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.server.proxy.flow import ProxiedRequest
from sipmesh.server.proxy.timeout_queue import TimeoutQueue


@dataclass(frozen=True, slots=True, eq=False)
class RingingCall:
    """The call *proxied* rings as *handling* says."""

    proxied: ProxiedRequest
    handling: CallHandling


class RingTimes:
    """A queue for each number of seconds that a rule has: there are less than two hundred.

    A call that is answered stays in its queue until its time is over: nearly no call has such a rule, so its end looks for none.
    """

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[int, TimeoutQueue[RingingCall]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, proxied: ProxiedRequest, handling: CallHandling, now: float) -> None:
        """Let *proxied* ring from the loop time *now* on."""
        seconds = handling.ring_s
        queue = self._queues.get(seconds)
        if queue is None:
            queue = self._queues[seconds] = TimeoutQueue(float(seconds))
        queue.put(RingingCall(proxied, handling), now)

    def pop_rung_out(self, now: float) -> RingingCall | None:
        """Remove and return a call whose time is over; None if there is none."""
        for queue in self._queues.values():
            rung = queue.pop_expired(now)
            if rung is not None:
                return rung
        return None
