"""The pools whose users this server serves as their backup pool, because none of their own servers answers.

This server judges by its own links alone: it keeps a link to each server of such a pool, and counts the time since the last one
of them stopped to answer. No message says that a pool is gone, so that no server can claim it. A process of this server that has
started again takes that time from the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle

    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.liveness.outages import Outages
    from sipmesh.server.proxy.login.digest_auth import DigestAuth
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.topology.entries import PoolView

LOOK_S: Final = 0.5
"""Seconds between two looks at the links."""


class Takeovers:
    """Decides which pools are taken over, and puts in force that this server serves their users.

    A pool is taken over when none of its servers has answered for its ``takeover_after``, and given back when the first of them
    answers again. What another process of this server has taken over needs no further time, but its servers must not answer here
    either.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        outages: Outages,
        flow_table: FlowTable,
        current: Current,
        logins: DigestAuth,
        siblings: OtherProcesses,
        log: Log,
    ) -> None:
        self._current = current
        self._loop, self._outages, self._flow_table = loop, outages, flow_table
        self._logins, self._siblings, self._log = logins, siblings, log
        self._timer: TimerHandle | None = None
        self._is_running = False
        self._elsewhere: dict[int, frozenset[str]] = {}
        self.pools: frozenset[str] = frozenset()

    def look_anew(self) -> None:
        """Look at the links at once, if it has begun: another topology is in force."""
        if self._is_running:
            self.start()

    def taken_elsewhere(self, process: int, pools: frozenset[str]) -> None:
        """Another process of this server has taken over these *pools*, and no others."""
        self._elsewhere[process] = pools

    def start(self) -> None:
        """Look at the links from now on: the ports are ours."""
        self._is_running = True
        self.close()
        self._look()

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        view = self._current.value.view
        backed = [pool for pool in view.pools.values() if pool.backup_pool == view.pool.name]
        for pool in backed:
            self._keep_links(pool)
        taken = frozenset(pool.name for pool in backed if self._is_gone(pool))
        if taken != self.pools:
            self._put(taken)
        if backed:
            self._timer = self._loop.call_later(LOOK_S, self._look)

    def _keep_links(self, pool: PoolView) -> None:
        """Have a link to each server of *pool*; an outage dials its server by itself."""
        for server in pool.servers:
            if not self._outages.has(server):
                self._flow_table.reach(server)

    def _is_gone(self, pool: PoolView) -> bool:
        outages = [self._outages.names.get(server) for server in pool.servers]
        since = [outage.since for outage in outages if outage is not None]
        if len(since) != len(outages):
            return False
        is_known = any(pool.name in pools for pools in self._elsewhere.values())
        return is_known or self._loop.time() - max(since) >= pool.takeover_after_s

    def _put(self, taken: frozenset[str]) -> None:
        for pool in sorted(taken - self.pools):
            self._log.warning("pool taken over: none of its servers answers", pool=pool)
        for pool in sorted(self.pools - taken):
            self._log.warning("pool given back", pool=pool)
        self.pools = taken
        self._current.value = self._current.value.taking_over(taken)
        self._logins.close_changed()
        self._siblings.taken_over(taken)
