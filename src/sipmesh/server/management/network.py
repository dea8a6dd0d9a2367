"""All servers that get versions from the management server: which are behind, and what is wrong with each."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sipmesh.server.management.peer_statuses import PeerStatus, peer_statuses, peers_in
from sipmesh.server.management.replies import Acknowledgement, ManagerReply
from sipmesh.server.management.server_faults import (
    Known,
    apart,
    clocks_s,
    own_clock_faults,
    refusal_faults,
    reported_faults,
)
from sipmesh.server.process.clock import now_utc
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.server.management.server_faults import Fault
    from sipmesh.server.management.server_reports import ServerReports
    from sipmesh.server.replication.server_status import PeerKind, ServerStatus


@dataclass(frozen=True, slots=True)
class Member:
    """A server that gets versions from management: a front end or an edge."""

    name: str
    pool: str
    role: Role


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """What is known of one server, and all its faults."""

    known: Known
    role: Role
    faults: Sequence[Fault]


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """The management server *manager* with its own *status* and faults, and every other server, at time *at* (UTC)."""

    version: int
    at: datetime
    manager: str
    status: ServerStatus
    faults: Sequence[Fault]
    members: Sequence[MemberStatus]
    managers: Sequence[ManagerReply] = ()
    peers: Sequence[PeerStatus] = ()

    @property
    def faulty(self) -> Sequence[tuple[str, str]]:
        """The kind and the name of everything that has a fault."""
        servers = [("server", one.known.server) for one in self.members if one.faults]
        manager = [("server", self.manager)] if self.faults else []
        return [*manager, *servers, *((str(peer.kind), peer.name) for peer in self.peers if peer.faults)]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of all servers at time *at*: a thread can compare it with the version *newest*.

    *peers* are the applications and partners, which do not report themselves.
    """

    newest: int
    at: datetime
    manager: str
    ours: ServerStatus
    known: Sequence[tuple[Member, Known]]
    managers: Sequence[ManagerReply] = ()
    pool_faults: Sequence[Fault] = ()
    peers: Sequence[tuple[str, PeerKind]] = ()

    def status(self) -> NetworkStatus:
        """Return every server with its faults; a fault of a server that others see too is listed at that server alone."""
        split = apart(known for _, known in self.known)
        elsewhere = frozenset(name for name, _ in self.peers).union(
            known.server for _, known in self.known if known.is_silent(self.at)
        )
        statuses = []
        for member, known in self.known:
            stores = [split[known.pool]] if known.pool in split else []
            statuses.append(MemberStatus(known, member.role, [*known.faults(self.newest, self.at, elsewhere), *stores]))
        clocks = clocks_s((known.report for _, known in self.known if known.report is not None), self.at)
        faults = [
            *reported_faults(self.manager, self.ours, elsewhere),
            *refusal_faults(self.manager, self.ours, self.at),
            *own_clock_faults(self.manager, clocks),
            *self.pool_faults,
        ]
        peers = peer_statuses(self.peers, (known for _, known in self.known), self.at)
        return NetworkStatus(self.newest, self.at, self.manager, self.ours, faults, statuses, self.managers, peers)


class Reach(Protocol):
    """The links to other servers."""

    @property
    def linked(self) -> Collection[str]:
        """The servers that have subscribed."""

    def why_not(self, server: str) -> str:
        """Return why there is no link to *server*; empty if there is one, or if there should be none."""

    def code_of(self, server: str) -> str:
        """Return the code of the verdict that refused the last link to *server*; empty if no verdict did."""

    def managers(self) -> Sequence[ManagerReply]:
        """Return the servers of the management pool; empty if there is one management server."""

    def pool_faults(self) -> Sequence[Fault]:
        """Return what is wrong with the management pool."""


class Network:
    """The servers of the topology in force; *reports* are their last reports, *own_status* returns the status of this server."""

    def __init__(
        self, server: ManagementServer, own_status: Callable[[], ServerStatus], reports: ServerReports, reach: Reach
    ) -> None:
        self._server, self._own_status, self._reports, self._reach = server, own_status, reports, reach
        self._news = asyncio.Event()
        self._joined: frozenset[str] = frozenset()  # added by a version since this process has started

    def members(self) -> list[Member]:
        """Return every front end and every edge."""
        pools = self._server.view.pools.values()
        of_ours = (pool for pool in pools if pool.role in (Role.FRONT_END, Role.EDGE))
        return [Member(name, pool.name, pool.role) for pool in of_ours for name in pool.servers]

    def joins(self, servers: frozenset[str]) -> None:
        """A version adds *servers*: until the first report of each, it counts as not started."""
        self._joined |= servers

    def not_started(self) -> frozenset[str]:
        """Return the servers that a version has added and that have never reported."""
        return self._joined - self._reports.reports.keys()

    def front_ends(self) -> Iterable[str]:
        """Return the servers to which management opens links."""
        return (member.name for member in self.members() if member.role is Role.FRONT_END)

    def missing(self, number: int) -> list[str]:
        """Return the servers that have not reported that version *number* is in force."""
        have = self._reports.servers_with(number)
        return [member.name for member in self.members() if member.name not in have]

    def statuses(self) -> dict[str, ServerStatus | None]:
        """Return the last report of each server; None for a server that has never reported."""
        reports = self._reports.reports
        names = [member.name for member in self.members()]
        return {name: reports[name].status if name in reports else None for name in names}

    def report_received(self) -> None:
        """A server has reported: wake everything that waits in :meth:`acknowledged`."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def acknowledged(self, number: int, wait_s: float) -> Acknowledgement:
        """Wait until every server has reported that version *number* is in force, at most *wait_s* seconds.

        A server that has joined and has never reported is not waited for: it starts with the newest version.
        """

        def missing() -> list[str]:
            new = self.not_started()
            return [name for name in self.missing(number) if name not in new]

        await self.reported(lambda: not missing(), wait_s)
        new = [name for name in self.missing(number) if name in self.not_started()]
        return Acknowledgement(number, missing(), new, len(self.members()) - len(new))

    async def reported(self, holds: Callable[[], bool], wait_s: float) -> None:
        """Wait until the reports of servers let *holds* return True, at most *wait_s* seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while not holds() and (remaining := until - loop.time()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), remaining)

    def status(self, newest: int) -> NetworkStatus:
        """Return every server with its version and its faults, compared with the version *newest*."""
        return self.snapshot(newest).status()

    def snapshot(self, newest: int) -> Snapshot:
        """Return what is known of all servers now; a thread can compute the status from it."""
        linked = frozenset(self._reach.linked)
        known = [(member, self._known(member, linked)) for member in self.members()]
        name, pool = self._server.view.name, self._reach
        about = (pool.managers(), pool.pool_faults(), list(peers_in(self._server.view)))
        return Snapshot(newest, now_utc(), name, self._own_status(), known, *about)

    def _known(self, member: Member, linked: AbstractSet[str]) -> Known:
        name, reports = member.name, self._reports
        why_not, code, misread = self._reach.why_not(name), self._reach.code_of(name), reports.misread.get(name, {})
        return Known(name, member.pool, reports.reports.get(name), name in linked, why_not, misread, code)
