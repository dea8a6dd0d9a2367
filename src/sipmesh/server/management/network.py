"""All servers that get versions from the management server: which are behind, and what is wrong with each."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.server.management.peer_statuses import (
    PeerStatus,
    peer_statuses,
    peers_in,
    registrations_of,
    store_faults,
)
from sipmesh.server.management.replies import Acknowledgement, ManagerReply
from sipmesh.server.management.server_faults import (
    FOLLOW_WRONG_CLOCK,
    Fault,
    Known,
    apart,
    own_clock_faults,
    refusal_faults,
    reported_faults,
)
from sipmesh.server.management.server_reports import SILENT_S
from sipmesh.server.management.sightings import Sighting, sightings, strongest, tell_sightings
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.control_links import carriers
from sipmesh.server.replication.link_fault import OUT_OF_REACH, Cause
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.trust.code import Code
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from sipmesh.server.management.own_faults import OwnFaults
    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.server.management.server_reports import ServerReports, StatusReport
    from sipmesh.server.replication.link_fault import LinkFault
    from sipmesh.server.replication.server_status import ServerStatus


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
    def faulty(self) -> Sequence[tuple[PeerKind, str]]:
        """The kind and the code of each fault; a fault without a code has an empty one."""
        servers = [(PeerKind.SERVER, self.faults), *((PeerKind.SERVER, one.faults) for one in self.members)]
        peers = ((peer.kind, peer.faults) for peer in self.peers)
        return [(kind, fault.code) for kind, faults in (*servers, *peers) for fault in faults]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of all servers at time *at*: a thread can compare it with the version *newest*.

    *peers* are the applications, partners, stores and CAs, which do not report themselves. *database_faults* are those of the
    databases that management servers share. *clocks_s* are the seconds by which the clocks of other servers are ahead of ours.
    """

    newest: int
    at: datetime
    manager: str
    ours: ServerStatus
    known: Sequence[tuple[Member, Known]]
    managers: Sequence[ManagerReply] = ()
    pool_faults: Sequence[Fault] = ()
    peers: Sequence[tuple[str, PeerKind]] = ()
    database_faults: Mapping[str, Fault] = field(default_factory=dict)
    clocks_s: Sequence[float] = ()

    def status(self) -> NetworkStatus:
        """Return every server and peer with its faults; each fault is listed once, at its cause."""
        wrong_clock = list(own_clock_faults(self.manager, self.clocks_s))
        seen = sightings(
            self._heard(is_our_clock_right=not wrong_clock),
            [one.server for _, one in self.known if one.is_silent or one.why_not],
        )
        peers = peer_statuses(self.peers, seen, self._store_faults())
        # Our own word alone, since it hides faults of other servers: a stolen server may say so too.
        is_crl_expired = not wrong_clock and any(fault.kind is PeerKind.CA for fault in self.ours.peer_faults)
        unheard = self._unheard_carriers()
        members = []
        for member, known in self.known:
            found = known.faults(self.newest, self.at, self.manager, seen.get(known.server, ()))
            if unheard and member.role in BORDERS:
                found = (_not_relayed(unheard) if one.code == Cause.NOT_STARTED else one for one in found)
            follow = FOLLOW_EXPIRED_CRL if is_crl_expired else frozenset()
            follow |= FOLLOW_OUR_CLOCK if wrong_clock else frozenset()
            members.append(MemberStatus(known, member.role, [one for one in found if one.code not in follow]))
        ours = self._own_faults(seen.get(self.manager, ()))
        faults = [*wrong_clock, *(one for one in ours if not (wrong_clock and one.code == Cause.CLOCK))]
        return NetworkStatus(self.newest, self.at, self.manager, self.ours, faults, members, self.managers, peers)

    def _unheard_carriers(self) -> Sequence[str]:
        """Return all front ends if none of them reports: then no edge and no gateway reports either."""
        fronts = [known for member, known in self.known if member.role is Role.FRONT_END]
        return [known.server for known in fronts] if all(known.is_silent for known in fronts) else []

    def _reports(self) -> Iterator[tuple[str, str, ServerStatus]]:
        """Give the servers that have reported lately, each with its pool and its report."""
        for _, known in self.known:
            if known.report is not None and not known.is_silent:
                yield known.server, known.pool, known.report.status

    def _heard(self, *, is_our_clock_right: bool) -> Iterator[tuple[str, ServerStatus]]:
        """Give the reports, our own first; a server with a wrong clock says nothing of CRLs and certificates."""
        right = {known.server for _, known in self.known if not known.ahead_s or not is_our_clock_right}
        for server, status in (
            (self.manager, self.ours),
            *((server, status) for server, _, status in self._reports()),
        ):
            is_right = is_our_clock_right if server == self.manager else server in right
            yield server, status if is_right else status.model_copy(update={"peer_faults": ()})

    def _store_faults(self) -> dict[str, list[Fault]]:
        found = store_faults(self._reports())
        for pool, fault in apart(known for _, known in self.known).items():
            found.setdefault(registrations_of(pool), []).append(fault)
        return found | {name: [fault] for name, fault in self.database_faults.items()}

    def _own_faults(self, seen: Sequence[Sighting]) -> Iterator[Fault]:
        for sighting in strongest(seen).values():
            what = tell_sightings({one.by for one in sighting}, sighting)
            yield Fault.of(self.manager, PeerKind.SERVER, what, sighting)
        yield from reported_faults(self.manager, self.ours)
        yield from refusal_faults(self.manager, self.ours, self.at)
        yield from self.pool_faults


def _not_relayed(fronts: Sequence[str]) -> Fault:
    """Return the fault of an edge or a gateway of which nothing can be known, because none of *fronts* is heard: it may run."""
    who = tell_list(sorted(fronts))
    remedy = f"first do what is said of {who}: the reports of edges and gateways come through them"
    return Fault(f"no report from it yet, because none comes from {who}", remedy, Cause.SILENT)


FOLLOW_OUR_CLOCK: Final = FOLLOW_WRONG_CLOCK | {Cause.CLOCK}
FOLLOW_EXPIRED_CRL: Final = frozenset(
    {Code.REVOCATION_UNKNOWN, Code.REFUSED_BY_PEER, Cause.SILENT, Cause.NO_ANSWER, Cause.CRL_EXPIRED}
)
"""The codes of faults of our servers that go when an expired CRL of our CA is signed again: the CA has the fault."""


class Reach(Protocol):
    """The links to other servers, and what is wrong at this one."""

    @property
    def linked(self) -> Collection[str]:
        """The servers that have subscribed."""

    def fault_of(self, server: str) -> LinkFault | None:
        """Return why there is no link to *server*; None if there is one, or if there should be none."""

    def dial(self, servers: Iterable[str]) -> Callable[[], frozenset[str]]:
        """Dial *servers* at once to which there is no link; the function gives those that a dial since then has not reached."""

    @property
    def own_faults(self) -> OwnFaults:
        """What is wrong with management itself."""


class Network:
    """The servers of the topology in force; *reports* are their last reports, *own_status* returns the status of this server."""

    def __init__(
        self, server: ManagementServer, own_status: Callable[[], ServerStatus], reports: ServerReports, reach: Reach
    ) -> None:
        self._server, self._own_status, self._reports, self._reach = server, own_status, reports, reach
        self._news = asyncio.Event()
        self._joined: frozenset[str] = frozenset()  # added by a version since this process has started

    def members(self) -> list[Member]:
        """Return every front end, edge and gateway."""
        pools = self._server.view.pools.values()
        of_ours = (pool for pool in pools if pool.role in {Role.FRONT_END, *BORDERS})
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

    def without_records(self) -> list[str]:
        """Return the servers whose newest records may not be here: without a recent report, or with records not written."""
        return [one.name for one in self.members() if not self._is_written(self._reports.reports.get(one.name))]

    def _is_written(self, report: StatusReport | None) -> bool:
        if report is None or self._reports.silent_s(report) > SILENT_S:
            return False
        return not report.status.records_fault

    def statuses(self) -> dict[str, ServerStatus | None]:
        """Return the last report of each server; None for a server that has never reported."""
        reports = self._reports.reports
        names = [member.name for member in self.members()]
        return {name: reports[name].status if name in reports else None for name in names}

    def changed(self) -> None:
        """A server has reported, or a link has closed: wake everything that waits in :meth:`acknowledged`."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def acknowledged(self, number: int, wait_s: float) -> Acknowledgement:
        """Wait until every server has reported that version *number* is in force, at most *wait_s* seconds.

        A server that has joined and has never reported is not waited for: it starts with the newest version. A server that has
        never reported is missing after three seconds in which no dial has reached it.
        """
        unreached = self._reach.dial([one.name for one in self.members() if one.name not in self._reports.reports])

        def missing() -> list[str]:
            new = self.not_started()
            return [name for name in self.missing(number) if name not in new]

        await self.reported(lambda: not set(missing()) - self._out_of_reach(number, unreached()), wait_s)
        new = [name for name in self.missing(number) if name in self.not_started()]
        return Acknowledgement(number, missing(), new, len(self.members()) - len(new))

    def _out_of_reach(self, number: int, unreached: frozenset[str]) -> frozenset[str]:
        """Return *unreached*, and the edges without a report that no front end reaches which has version *number*.

        A front end dials the edges behind it at once when a version is in force there.
        """
        reports, have = self._reports.reports, self._reports.servers_with(number)
        tried = {
            name: {fault.peer for fault in reports[name].status.peer_faults if fault.code in OUT_OF_REACH}
            for name in have
        }
        edges = [one.name for one in self.members() if one.role is Role.EDGE and one.name not in reports]
        return unreached | {
            edge
            for edge in edges
            if all(front in unreached or edge in tried.get(front, ()) for front in carriers(self._server.view, edge))
        }

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
        name, own = self._server.view.name, self._reach.own_faults
        about = (own.managers(), own.of_pool(), list(peers_in(self._server.view)), own.of_databases())
        return Snapshot(newest, now_utc(), name, self._own_status(), known, *about, self.clocks_s())

    def clocks_s(self) -> tuple[float, ...]:
        """Return the seconds by which the clocks of other servers are ahead of ours.

        Servers say so by their reports or by refused links, the others of the management pool in its database.
        """
        linked = frozenset(self._reach.linked)
        apart = {one.name: fault.ahead_s for one in self.members() if (fault := self._reach.fault_of(one.name))}
        refused = {name: ahead_s for name, ahead_s in apart.items() if ahead_s and name not in linked}
        of_pool = self._reach.own_faults.clocks_s()
        return (*self._reports.clocks_s(without=refused.keys()), *refused.values(), *of_pool.values())

    def _known(self, member: Member, linked: AbstractSet[str]) -> Known:
        name, report = member.name, self._reports.reports.get(member.name)
        misread, fault = self._reports.misread.get(name, {}), self._reach.fault_of(name)
        silent_s = self._reports.silent_s(report) if report is not None else 0.0
        return Known(name, member.pool, report, name in linked, misread, fault, self._is_revoked(report), silent_s)

    def _is_revoked(self, report: StatusReport | None) -> bool:
        """Return whether the certificate that a server has reported last is on a CRL of ours."""
        shown = report.status.certificate if report is not None else None
        if shown is None:
            return False
        serial, lists = int(shown.serial or "0", 16), self._server.view.loaded.authority.lists
        return any(serial in crl.serials and crl.issuer.rfc4514_string() == shown.issuer for crl in lists)
