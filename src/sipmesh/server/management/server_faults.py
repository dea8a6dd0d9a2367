"""What is wrong with the servers of a network, in plain words and with what to do: the thresholds are here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sipmesh.trust.formatting import tell_list, tell_span

if TYPE_CHECKING:
    from sipmesh.server.management.server_reports import StatusReport
    from sipmesh.server.replication.server_status import ServerStatus

SILENT: Final = timedelta(seconds=30)
"""A server reports every ten seconds; one that has not for this long is cut off."""

BEHIND_TOO_LONG: Final = timedelta(minutes=1)
"""A server that holds an older version for longer than this has a fault."""

CLOCKS_DIFFER_S: Final = 5.0
"""A difference to management's clock that is a fault: certificates and lists begin and end by the clock."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: *what* it is, and the *remedy*."""

    what: str
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """The fault as plain values."""
        return {"what": self.what, "remedy": self.remedy}


@dataclass(frozen=True, slots=True)
class Known:
    """What management knows of one server: its last *report*, None if there is none, and whether there is a link to it.

    *why_not* says why there is no link; *unreadable* says for each bringer of a report ("" for the server itself) what was
    wrong with it.
    """

    server: str
    pool: str
    report: StatusReport | None
    linked: bool
    why_not: str
    unreadable: Mapping[str, str]

    @property
    def is_behind_another(self) -> bool:
        """Whether its reports are brought by a front end."""
        return self.report is not None and bool(self.report.by)

    def is_reached(self, at: datetime) -> bool:
        """Whether it is given what is new at once."""
        return self.linked or (self.is_behind_another and not self._is_silent(at))

    def _is_silent(self, at: datetime) -> bool:
        return self.report is None or at - self.report.heard_at > SILENT

    def to_json(self, at: datetime) -> dict[str, Any]:
        """All of it as plain values; a server that was never heard has no ``number``."""
        told: dict[str, Any] = {"server": self.server, "pool": self.pool, "linked": self.linked}
        told |= {"why_not": self.why_not, "reached": self.is_reached(at)}
        if self.report is None:
            return {**told, "number": None}
        since = self.report.behind_since
        return {
            **self.report.status.facts(),
            **told,
            "by": self.report.by,
            "heard_s": round((at - self.report.heard_at).total_seconds(), 1),
            "behind_s": round((at - since).total_seconds(), 1) if since is not None else 0,
            "clock_s": self.report.clock_s,
        }

    def faults(self, newest: int, at: datetime) -> Iterator[Fault]:
        """Everything that is wrong with it; *newest* is the version that it should have in force."""
        yield from self._unreadable()
        if self.report is None:
            start = f"start it: sipmesh serve {self.server}; and check that its machine is reachable from here"
            yield Fault(f"no report from it yet: {self.why_not or 'no connection yet'}", start)
            return
        yield from self._unheard(self.report, at)
        yield from self._behind(self.report, newest, at)
        yield from self._said(self.report)

    def _unreadable(self) -> Iterator[Fault]:
        for by, why in self.unreadable.items():
            brought = f" from {by}" if by else ""
            yield Fault(f"its report{brought} cannot be read: {why}", "run the same release of sipmesh on every server")

    def _unheard(self, report: StatusReport, at: datetime) -> Iterator[Fault]:
        remedy = f"check that {self.server} runs, and that its server port is reachable from here"
        if self._is_silent(at):
            ago = tell_span(at - report.heard_at)
            yield Fault(f"cut off, last report {ago} ago: {self.why_not or 'it sends no reports'}", remedy)
        elif self.why_not and not self.linked:
            yield Fault(f"no link to it: {self.why_not}", remedy)

    def _behind(self, report: StatusReport, newest: int, at: datetime) -> Iterator[Fault]:
        since = report.behind_since
        if report.number > newest:
            remedy = "restore management from a newer backup; if this server was compromised, revoke it"
            yield Fault(f"has version {report.number}, but the newest published version is {newest}", remedy)
        if report.number < newest and since is not None and at - since > BEHIND_TOO_LONG:
            remedy = f"read the log of {self.server}: it says why the server rejects version {newest}"
            yield Fault(f"behind the newest version for {tell_span(at - since)}", remedy)

    def _said(self, report: StatusReport) -> Iterator[Fault]:
        yield from reported_faults(self.server, report.status)
        clock = report.clock_s
        if clock is not None and abs(clock) > CLOCKS_DIFFER_S:
            side = "ahead" if clock > 0 else "behind"
            yield Fault(
                f"its clock is {abs(clock):.0f} s {side}", f"set the clock of {self.server}, for example by NTP"
            )


def reported_faults(server: str, status: ServerStatus) -> Iterator[Fault]:
    """What a server says itself is wrong with it."""
    if status.error:
        yield Fault(status.error, f"read the log of {server}")
    if status.certificate_fault:
        remedy = f"on the machine of {server}: sipmesh ca inventory"
        yield Fault(f"new certificate rejected: {status.certificate_fault}", remedy)
    for other in status.unanswered:
        remedy = f"check that {other} runs, and that its server port is reachable from the machine of {server}"
        yield Fault(f"{other} does not answer it", remedy)


def apart(servers: Iterable[Known]) -> dict[str, Fault]:
    """The pools whose servers keep bindings in different stores, each with the fault.

    A user who is registered at one of their servers cannot be reached through the others.
    """
    stores: dict[str, dict[str, list[str]]] = {}
    for known in servers:
        if known.report is not None and known.report.status.bindings:
            stores.setdefault(known.pool, {}).setdefault(known.report.status.bindings, []).append(known.server)
    return {pool: _apart(pool, list(held.values())) for pool, held in stores.items() if len(held) > 1}


def _apart(pool: str, groups: list[list[str]]) -> Fault:
    told = "; ".join(tell_list(sorted(group)) for group in sorted(groups))
    what = f"{pool} has {len(groups)} separate registration stores ({told})"
    lost = "a user who is registered at a server of one store is unreachable through the others"
    remedy = "run all servers of a pool in the same folder of the same machine, or define a pool for each machine"
    return Fault(f"{what}: {lost}", remedy)
