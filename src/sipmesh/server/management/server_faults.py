"""What is wrong with the servers of a network, in plain words, with a remedy; all thresholds are in this module."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sipmesh.server.process.clock import majority_ahead_s
from sipmesh.trust.formatting import tell_list, tell_span, tell_time

if TYPE_CHECKING:
    from sipmesh.server.management.server_reports import StatusReport
    from sipmesh.server.replication.server_status import ServerStatus

SILENT: Final = timedelta(seconds=30)
"""A server reports every ten seconds; after this time without a report it counts as cut off."""

BEHIND_TOO_LONG: Final = timedelta(minutes=1)
"""A server that has an older version for longer than this has a fault."""

CLOCKS_DIFFER_S: Final = 5.0
"""A difference to management's clock, in seconds, that is a fault: certificates and CRLs are valid by the clock."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: *what* is wrong, and the *remedy*. *code* is that of the verdict that is the cause, empty without one."""

    what: str
    remedy: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What management knows of one server: its last *report*, None if there is none, and whether there is a link to it.

    *why_not* is the reason why there is no link, and *code* that of the verdict, if one has refused it. *unreadable* has the
    faults of unreadable reports, by the server that delivered the report ("" for the server itself).
    """

    server: str
    pool: str
    report: StatusReport | None
    linked: bool
    why_not: str
    unreadable: Mapping[str, str]
    code: str = ""

    @property
    def is_behind_another(self) -> bool:
        """Whether a front end delivers its reports."""
        return self.report is not None and bool(self.report.by)

    def is_reached(self, at: datetime) -> bool:
        """Return whether it receives new documents at once."""
        return self.linked or (self.is_behind_another and not self.is_silent(at))

    def is_silent(self, at: datetime) -> bool:
        """Return whether there is no recent report."""
        return self.report is None or at - self.report.heard_at > SILENT

    def faults(self, newest: int, at: datetime, elsewhere: Collection[str] = ()) -> Iterator[Fault]:
        """Return all faults of the server; *newest* is the version that it should have in force.

        *elsewhere* are peers that have the fault themselves: that they do not answer is no fault of this server.
        """
        yield from self._unreadable()
        if self.report is None:
            start = f"start it: sipmesh serve {self.server}; and check that its machine is reachable from here"
            yield Fault(f"no report from it yet: {self.why_not or 'no connection yet'}", start, self.code)
            return
        yield from self._silence(self.report, at)
        yield from self._old_version(self.report, newest, at)
        yield from self._reported(self.report, elsewhere)
        if not self.is_silent(at):
            yield from refusal_faults(self.server, self.report.status, at)

    def _unreadable(self) -> Iterator[Fault]:
        for by, why in self.unreadable.items():
            source = f" from {by}" if by else ""
            yield Fault(f"its report{source} cannot be read: {why}", "run the same release of sipmesh on every server")

    def _silence(self, report: StatusReport, at: datetime) -> Iterator[Fault]:
        remedy = (
            f"check that {self.server} runs, and that its server port is reachable from here; if a peer was refused, read why: "
            "sipmesh links --refused"
        )
        if self.is_silent(at):
            ago = tell_span(at - report.heard_at)
            yield Fault(f"cut off, last report {ago} ago: {self.why_not or 'it sends no reports'}", remedy, self.code)
        elif self.why_not and not self.linked:
            yield Fault(f"no link to it: {self.why_not}", remedy, self.code)

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

    def _reported(self, report: StatusReport, elsewhere: Collection[str]) -> Iterator[Fault]:
        yield from reported_faults(self.server, report.status, elsewhere)
        clock = report.clock_s
        if clock is not None and abs(clock) > CLOCKS_DIFFER_S:
            side = "ahead of" if clock > 0 else "behind"
            yield Fault(
                f"its clock is {abs(clock):.0f} s {side} that of management",
                f"set the clock of {self.server}, for example by NTP",
            )


def clocks_s(reports: Iterable[StatusReport], at: datetime) -> tuple[float, ...]:
    """Return the seconds by which the clocks of the servers are ahead of ours that have reported lately."""
    lately = (report.clock_s for report in reports if at - report.heard_at <= SILENT)
    return tuple(seconds for seconds in lately if seconds is not None)


def own_clock_faults(manager: str, others_s: Sequence[float]) -> Iterator[Fault]:
    """Return the fault of the clock of *manager*, if a majority of all clocks says so; *others_s* as of `clocks_s`."""
    seconds = majority_ahead_s(others_s)
    if seconds:
        side = "behind" if seconds > 0 else "ahead of"
        yield Fault(
            f"its clock is {abs(seconds):.0f} s {side} the clocks of most servers, so it signs no CRL",
            f"set the clock of {manager}, for example by NTP; it signs then by itself",
        )


def reported_faults(server: str, status: ServerStatus, elsewhere: Collection[str] = ()) -> Iterator[Fault]:
    """Return the faults that a server reports of itself; *elsewhere* as for `Known.faults`."""
    if status.error:
        yield Fault(status.error, f"read the log of {server}")
    if status.certificate_fault:
        remedy = f"on the machine of {server}: sipmesh ca inventory"
        yield Fault(f"new certificate rejected: {status.certificate_fault}", remedy)
    if status.bindings_fault:
        remedy = f"repair the store of the registrations, or the way to it; {server} stores its registrations again by itself"
        yield Fault(f"its registrations cannot be stored: {status.bindings_fault}", remedy)
    if status.messages_fault:
        remedy = f"repair the database of stored messages, or the way to it; {server} uses it again by itself"
        yield Fault(f"messages for users who are away cannot be stored: {status.messages_fault}", remedy)
    if status.records_fault:
        yield Fault(
            f"records of calls are not written, and wait in its memory: {status.records_fault}",
            f"make room on that disk, or repair it; {server} writes them by itself then",
        )
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
    for other in (name for name in status.unanswered if name not in elsewhere):
        remedy = f"check that {other} runs, and that its server port is reachable from the machine of {server}"
        yield Fault(f"{other} does not answer it", remedy)


def refusal_faults(server: str, status: ServerStatus, at: datetime) -> Iterator[Fault]:
    """Return the fault of a server that refuses all peers, because its own certificate, a CA or a CRL of them has expired."""
    remedy = f"on the machine of {server}: sipmesh ca inventory"
    if status.refuses_from is None:
        if status.refuses_because:
            yield Fault(f"it refuses all peers: {status.refuses_because}", remedy)
    elif status.refuses_from <= at:
        yield Fault(f"it refuses all peers since {tell_time(status.refuses_from)}: {status.refuses_because}", remedy)


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
