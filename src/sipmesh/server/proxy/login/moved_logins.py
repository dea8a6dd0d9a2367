"""The links of users whom another pool serves now: they are closed over time, and those with a call when the call has ended.

The user has proved the password on such a link, and is still a user of ours. So the link may end its call, and registers no user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle

    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.under_way import UnderWay
    from sipmesh.transport.limits import Limits

STEP_S: Final = 0.05
"""Seconds between two looks at the links."""

LONGEST_CALL_S: Final = 3600.0
"""How long a call may keep such a link: what the new pool learns of the password is not known here."""

WHY: Final = "the user was moved to another pool"


class MovedLogins:
    """The links that are to be closed: ``released_per_s`` in a second, those without a request or a call under way."""

    def __init__(self, loop: AbstractEventLoop, limits: Limits, under_way: UnderWay) -> None:
        self._loop, self._limits, self._under_way = loop, limits, under_way
        self._since: dict[int, float] = {}
        self._flows: dict[int, Flow] = {}
        self._timer: TimerHandle | None = None
        self._began, self._released = 0.0, 0
        self.longest_call_s = LONGEST_CALL_S

    def __len__(self) -> int:
        return len(self._flows)

    def __contains__(self, flow: object) -> bool:
        return flow in self._flows.values()

    def add(self, flow: Flow) -> None:
        """Close the link of *flow* when it is its turn."""
        if not self._flows:
            self._began, self._released = self._loop.time(), 0
        self._flows[flow.number] = flow
        self._since.setdefault(flow.number, self._loop.time())

    def step(self) -> list[str]:
        """Close the links whose turn it is; returns their ids. The others are looked at again a little later."""
        if not self._flows:
            return []
        now = self._loop.time()
        calls = self._under_way.calls.links()
        room = int(self._limits.released_per_s * (now - self._began + STEP_S)) - self._released
        closed = []
        for number, flow in list(self._flows.items()):
            if flow.closed or not flow.link.usable:
                self._forget(number)
            elif room > 0 and not self._is_busy(flow, calls, now):
                room, self._released = room - 1, self._released + 1
                closed.append(flow.link.id)
                self._forget(number)
                flow.link.close(WHY)
        self._look_later()
        return closed

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_busy(self, flow: Flow, calls: set[int], now: float) -> bool:
        has_call = flow.number in calls and now - self._since[flow.number] < self.longest_call_s
        return has_call or self._under_way.waits_on(flow)

    def _forget(self, number: int) -> None:
        del self._flows[number], self._since[number]

    def _look_later(self) -> None:
        if self._timer is None and self._flows:
            self._timer = self._loop.call_later(STEP_S, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.step()
