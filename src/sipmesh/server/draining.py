"""The end of one server: it takes no new work, what is under way ends, and the links of phones are closed one by one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipmesh.routing.outcome import RETRY_AFTER_S
from sipmesh.server.proxy.flow import Flow
from sipmesh.trust.evidence import Direction, LinkKind

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.transport.link.link import Link

STEP_S: Final = 0.05
"""Seconds between two looks at what is still under way."""

ACK_S: Final = 2.0
"""Seconds for which the phones of a call keep their links after its 2xx, where no ACK has passed yet."""


NOTIFY_S: Final = 2.0
"""Seconds for which the NOTIFYs that end subscriptions may wait for the answers of servers, or for a link to one."""

MOST_NAMED: Final = 100
"""Calls that the log line names: with thousands, it would have megabytes."""


class Draining:
    """Drains *node*: no listener, no new request, then the end of what is under way, and of the links of phones.

    Links to servers and partners stay until the end: what is under way needs them. `RunningServer.drain` closes them afterwards.
    """

    def __init__(self, node: RunningServer, log: Log) -> None:
        self._node, self._log = node, log
        self._began = node.loop.time()
        self._released = 0
        self._per_s = float(node.limits.released_per_s)

    async def run(self, hurry: asyncio.Event) -> None:
        """Return when nothing is under way and no phone is left, after ``stop_s`` at the latest, or once *hurry* is set.

        Each request that still waits then gets 503 as its final response.
        """
        self._begin()
        while self.step() and not hurry.is_set() and self._left_s > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), min(STEP_S, self._left_s))
        self._end()
        if hurry.is_set():
            for link in self._node.pool.all():
                link.close("stopped at once")

    @property
    def _left_s(self) -> float:
        return self._began + self._node.limits.stop_s - self._node.loop.time()

    def _begin(self) -> None:
        node = self._node
        node.listening.close()
        node.core.drain()
        self._per_s = max(self._per_s, len(self._phones()) / node.limits.stop_s)
        calls = node.relay.calls.table.up()
        named = [f"{call.caller} to {call.callee}" for call in calls[-MOST_NAMED:]]
        self._log.info("draining", links=len(node.pool.all()), waiting=node.relay.load, calls=len(calls), up=named)

    def step(self) -> bool:
        """Close the links of some phones for which nothing is under way; False once nothing is left to wait for.

        It closes ``released_per_s`` links a second, and more only if there are too many for ``stop_s``. So the phones log in
        elsewhere over some time, and not all at once.
        """
        now, relay = self._node.loop.time(), self._node.relay
        acks = relay.calls.table.unacknowledged(now - ACK_S)
        phones = self._phones()
        idle = [link for link in phones if link.usable and link.number not in acks and not self._is_busy(link)]
        for link in idle[: int(self._per_s * (now - self._began + STEP_S)) - self._released]:
            link.drain()
            self._released += 1
        are_told = now - self._began > NOTIFY_S or not self._node.events.own_requests.wait_on_servers
        return bool(phones or acks or relay.load or not are_told)

    def _phones(self) -> list[Link]:
        """Give the links of phones: those to this server, and those that other servers carry to it."""
        links = self._node.pool.all()
        phones = [link for link in links if link.kind is LinkKind.CLIENT and link.direction is Direction.ACCEPTED]
        return phones + self._node.home_flows.links()

    def _is_busy(self, link: Link) -> bool:
        return isinstance(link.flow, Flow) and self._node.under_way.waits_on(link.flow)

    def _end(self) -> None:
        given_up = self._node.relay.give_up(RETRY_AFTER_S)
        took_s = round(self._node.loop.time() - self._began, 2)
        self._log.info("drained", after_s=took_s, released=self._released, given_up=given_up)
