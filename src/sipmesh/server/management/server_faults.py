"""What is wrong with the servers of a network, in plain words, with a remedy; all thresholds are in this module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from sipmesh.server.management.remedies import remedy_of
from sipmesh.server.management.server_reports import SILENT_S
from sipmesh.server.management.sightings import Sighting, strongest, tell_sightings
from sipmesh.server.process.clock import majority_ahead_s
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.topology.expiry.countdown import is_end_of_crl
from sipmesh.trust.code import Code
from sipmesh.trust.formatting import tell_list, tell_span, tell_time

if TYPE_CHECKING:
    from sipmesh.server.management.server_reports import StatusReport
    from sipmesh.server.replication.link_fault import LinkFault
    from sipmesh.server.replication.server_status import ServerStatus

BEHIND_TOO_LONG: Final = timedelta(minutes=1)
"""A server that has an older version for longer than this has a fault."""

CLOCKS_DIFFER_S: Final = 5.0
"""A difference to management's clock, in seconds, that is a fault: certificates and CRLs are valid by the clock."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault at its cause: *what* is wrong, and the *remedy*. *code* is that of a verdict, or a `Cause`; empty without one.

    *hurts* are the servers that have seen the fault, because they need what has it.
    """

    what: str
    remedy: str = ""
    code: str = ""
    hurts: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, kind: PeerKind, what: str, seen: Sequence[Sighting]) -> Self:
        """Return the fault that *seen*, all with one code, have found at *name*."""
        by = tuple(sorted({one.by for one in seen}))
        return cls(what, remedy_of(kind, seen[0].code, name, by[0]), seen[0].code, by)


@dataclass(frozen=True, slots=True)
class Known:
    """What management knows of one server: its last *report*, None if there is none, and whether there is a link to it.

    *silent_s* is the age of its last report in seconds. *fault* says why there is no link. *unreadable* has the faults of
    unreadable reports, by the server that delivered the report ("" for the server itself). *is_revoked* says that the certificate
    of the last report is on our CRL.
    """

    server: str
    pool: str
    report: StatusReport | None
    linked: bool
    unreadable: Mapping[str, str]
    fault: LinkFault | None = None
    is_revoked: bool = False
    silent_s: float = 0.0

    @property
    def why_not(self) -> str:
        """Why there is no link; empty if there is one, or if there should be none."""
        return self.fault.why if self.fault is not None else ""

    @property
    def is_behind_another(self) -> bool:
        """Whether a front end delivers its reports."""
        return self.report is not None and bool(self.report.by)

    @property
    def is_reached(self) -> bool:
        """Whether it receives new documents at once."""
        return self.linked or (self.is_behind_another and not self.is_silent)

    @property
    def is_silent(self) -> bool:
        """Whether there is no recent report."""
        return self.report is None or self.silent_s > SILENT_S

    def faults(self, newest: int, at: datetime, manager: str, seen: Sequence[Sighting] = ()) -> Iterator[Fault]:
        """Return all faults of the server; *newest* is the version that it should have in force.

        *seen* is what the servers have seen of it that have reported lately; *manager* adds what it knows itself.
        """
        yield from self._unreadable()
        ahead_s = self.ahead_s or next((one.ahead_s for one in seen if abs(one.ahead_s) > CLOCKS_DIFFER_S), 0.0)
        if ahead_s:
            yield clock_fault("its clock", self.server, ahead_s)
        apart = self._apart(manager, seen)
        yield from (fault for fault in apart if not (ahead_s and fault.code in FOLLOW_WRONG_CLOCK))
        if self.report is None:
            return
        yield from self._old_version(self.report, newest, at)
        if not self.is_silent:
            yield from reported_faults(self.server, self.report.status)
        if not self.is_silent and not ahead_s:
            yield from refusal_faults(self.server, self.report.status, self._its_time(at))

    def _its_time(self, at: datetime) -> datetime:
        """Return the present time by the clock of the server: by that clock its certificate and its CRLs expire."""
        reported = self.report.status.at if self.report is not None else None
        return at if reported is None else reported + timedelta(seconds=self.silent_s)

    def _unreadable(self) -> Iterator[Fault]:
        for by, why in self.unreadable.items():
            source = f" from {by}" if by else ""
            yield Fault(f"its report{source} cannot be read: {why}", "run the same release of sipmesh on every server")

    def _apart(self, manager: str, seen: Sequence[Sighting]) -> Iterator[Fault]:
        """Return the one fault of a server that others cannot reach, or that sends no reports."""
        all_seen = [*self._known_to(manager), *seen]
        codes = strongest(all_seen)
        code = Code.REVOKED if Code.REVOKED in codes else next(iter(codes), "")
        if self.report is None and code not in list(Code):
            yield self._without_links(
                manager, f"no report from it yet: {self.why_not or 'no connection yet'}", Cause.NOT_STARTED
            )
        elif codes:
            hurts = tuple(sorted({one.by for one in all_seen}))
            what = f"{self._age}{tell_sightings(hurts, codes[code])}"
            yield replace(Fault.of(self.server, PeerKind.SERVER, what, codes[code]), hurts=hurts)
        elif self.is_silent:
            yield self._without_links(manager, f"{self._age}it sends no reports", Cause.SILENT)

    def _without_links(self, manager: str, what: str, cause: Cause) -> Fault:
        return Fault.of(self.server, PeerKind.SERVER, what, [Sighting(manager, what, cause)])

    def _known_to(self, manager: str) -> Iterator[Sighting]:
        if self.is_revoked:
            yield Sighting(manager, "revoked: the certificate that it has reported last is on our CRL", Code.REVOKED)
        if self.fault is not None and not self.linked:
            yield Sighting(manager, self.fault.why, self.fault.code)

    @property
    def _age(self) -> str:
        """How long a server has been silent; empty if it is not."""
        if self.report is None or not self.is_silent:
            return ""
        return f"cut off, last report {tell_span(timedelta(seconds=self.silent_s))} ago: "

    def _old_version(self, report: StatusReport, newest: int, at: datetime) -> Iterator[Fault]:
        since = report.behind_since
        if report.number > newest:
            remedy = (
                "restore management from a newer backup; if another management server was compromised, revoke it, and publish "
                "above its numbers: sipmesh topology publish --overtake"
            )
            yield Fault(f"has version {report.number}, but the newest published version is {newest}", remedy)
        if report.number < newest and since is not None and at - since > BEHIND_TOO_LONG:
            remedy = f"read the log of {self.server}: it says why the server rejects version {newest}"
            yield Fault(f"behind the newest version for {tell_span(at - since)}", remedy)

    @property
    def ahead_s(self) -> float:
        """The seconds by which its clock is ahead of ours, 0 if it is right; a relayed report shows it roughly.

        If there is no link, the last handshakes show it.
        """
        if self.fault is not None and not self.linked and abs(self.fault.ahead_s) > CLOCKS_DIFFER_S:
            return self.fault.ahead_s
        report = self.report
        if report is None or report.status.at is None:
            return 0
        seconds = (report.status.at - report.heard_at).total_seconds()
        tolerated = SILENT_S if report.by else CLOCKS_DIFFER_S
        return seconds if abs(seconds) > tolerated else 0


FOLLOW_WRONG_CLOCK: Final = frozenset(
    {Code.EXPIRED, Code.NOT_YET_VALID, Code.REVOCATION_UNKNOWN, Code.REFUSED_BY_PEER, Cause.SILENT, Cause.NO_ANSWER}
)
"""The codes of faults of a server that go when its clock is set."""


def clock_fault(clock: str, server: str, ahead_s: float) -> Fault:
    """Return the fault of the *clock* of *server*, which is *ahead_s* seconds ahead of ours."""
    side = "ahead of" if ahead_s > 0 else "behind"
    what = f"{clock} is {abs(ahead_s):.0f} s {side} that of management"
    return Fault(what, remedy_of(PeerKind.SERVER, Cause.CLOCK, server, ""), Cause.CLOCK)


def own_clock_faults(manager: str, others_s: Sequence[float]) -> Iterator[Fault]:
    """Return the fault of the clock of *manager*, if a majority of all clocks says so; *others_s* are of `clocks_s`."""
    seconds = majority_ahead_s(others_s)
    if seconds:
        side = "behind" if seconds > 0 else "ahead of"
        yield Fault(
            f"its clock is {abs(seconds):.0f} s {side} the clocks of most servers, so it signs no CRL",
            f"{remedy_of(PeerKind.SERVER, Cause.CLOCK, manager, '')}; it signs then by itself",
            Cause.CLOCK,
        )


def reported_faults(server: str, status: ServerStatus) -> Iterator[Fault]:
    """Return the faults that a server reports of itself."""
    if status.error:
        yield Fault(status.error, f"read the log of {server}")
    if status.certificate_fault:
        remedy = f"on the machine of {server}: sipmesh ca inventory"
        yield Fault(f"new certificate rejected: {status.certificate_fault}", remedy)
    if status.renewal_fault:
        yield Fault(f"no certificate of the public CA: {status.renewal_fault}", status.renewal_remedy)
    if status.records_fault:
        yield Fault(
            f"records of calls are not written, and wait in its memory: {status.records_fault}",
            f"make room on that disk, or repair it; {server} writes them by itself then",
        )
    if status.awaits_restart:
        remedy = f"systemctl restart sipmesh@{server}; without systemd, end it, then: sipmesh serve {server}"
        yield Fault(f"has to be restarted: {status.awaits_restart}", remedy, Cause.RESTART)
    if status.rtpengine_fault:
        yield Fault(
            f"calls that need rtpengine fail: {status.rtpengine_fault}",
            f"start it on the host of {server}: systemctl start rtpengine-daemon; or write the port of its `listen-ng` into "
            f"`rtpengine` of the pool",
            Cause.RTPENGINE,
        )
    for why in status.call_bounds:
        who = why.partition(" ")[0]
        remedy = (
            f"sipmesh calls --since 1d shows the calls; if a thief has made them: sipmesh user disable {who}; if a rule "
            f"forwards too many of one caller: sipmesh user rules caller {who} CALLER block"
        )
        yield Fault(f"a bound of calls was reached: {why}", remedy)
    if status.workers_fault:
        remedy = (
            f"read the log of {server}: it says why. sipmesh replaces the worker by itself; phones come to the others"
        )
        yield Fault(status.workers_fault, remedy)
    for pool in status.taken_over:
        remedy = (
            f"start a server of {pool}, or repair the network between it and {server}: then the users are given back"
        )
        yield Fault(f"it has taken over the users of {pool}, none of whose servers answers it", remedy)


def refusal_faults(server: str, status: ServerStatus, at: datetime) -> Iterator[Fault]:
    """Return the fault of a server that refuses all peers, because its own certificate, a CA above it or a CRL has expired.

    That a CRL of our CA has expired is the fault of the CA, once a server has seen it.
    """
    if any(fault.kind is PeerKind.CA for fault in status.peer_faults):
        return
    remedy = f"on the machine of {server}: sipmesh ca inventory"
    if status.refuses_from is None:
        if status.refuses_because:
            yield Fault(f"it refuses all peers: {status.refuses_because}", remedy)
    elif status.refuses_from <= at:
        since = f"it refuses all peers since {tell_time(status.refuses_from)}: {status.refuses_because}"
        code = Cause.CRL_EXPIRED if is_end_of_crl(status.refuses_because) else Code.EXPIRED
        yield Fault(since, remedy_of(PeerKind.SERVER, code, server, server), code)


def apart(servers: Iterable[Known]) -> dict[str, Fault]:
    """Return the pools whose servers store bindings in different databases, each with its fault.

    A user who is registered at one server of such a pool cannot be reached through a server with another database.
    """
    stores: dict[str, dict[str, list[str]]] = {}
    for known in servers:
        if known.report is not None and known.report.status.bindings:
            stores.setdefault(known.pool, {}).setdefault(known.report.status.bindings, []).append(known.server)
    return {pool: _apart(pool, list(groups.values())) for pool, groups in stores.items() if len(groups) > 1}


def _apart(pool: str, groups: list[list[str]]) -> Fault:
    names = "; ".join(tell_list(sorted(group)) for group in sorted(groups))
    what = f"{pool} has {len(groups)} separate registration stores ({names})"
    lost = "a user who is registered at a server of one store is unreachable through the others"
    remedy = "if the store was changed, restart the servers that have not restarted since; otherwise run all servers of a pool "
    remedy += "in one folder of one machine, or name one store in `storage`, or define a pool for each machine"
    return Fault(f"{what}: {lost}", remedy)
