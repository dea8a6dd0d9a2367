"""The last report of each server: the version that it has in force, its certificate, its links, its faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipmesh.server.replication.server_status import ServerStatus

SILENT_S: Final = 30.0
"""A server reports every ten seconds; after this time without a report, in seconds, it counts as cut off."""


@dataclass(slots=True)
class StatusReport:
    """The last report of one server; *heard_at* is our time, *by* the server that delivered it (empty: the server itself).

    *heard_s* is the same time by the monotonic clock, in seconds: a jump of our clock does not change the age of a report.
    """

    status: ServerStatus
    heard_at: datetime
    by: str = ""
    heard_s: float = 0.0
    behind_since: datetime | None = None

    @property
    def number(self) -> int:
        """The version that it has in force."""
        return self.status.number

    @property
    def clock_s(self) -> float | None:
        """How many seconds its clock is ahead of ours; None for a relayed report, which does not show this."""
        if self.by or self.status.at is None:
            return None
        return round((self.status.at - self.heard_at).total_seconds(), 3)


@dataclass(slots=True)
class ServerReports:
    """The newest report of each server, and the faults of reports that could not be read. *steady* is the monotonic clock."""

    reports: dict[str, StatusReport] = field(default_factory=dict)
    misread: dict[str, dict[str, str]] = field(default_factory=dict)  # by server, and by deliverer ("" for itself)
    steady: Callable[[], float] = time.monotonic
    _warned: set[str] = field(default_factory=set)

    def record(self, server: str, status: ServerStatus, at: datetime, newest: int, by: str = "") -> bool:
        """Store a report, and return whether it is the last one of the server.

        *newest* is the version that every server should have in force.

        The age of a relayed report is in the report (``ago_s``). If several servers relay reports of one server, the newest
        report counts.
        """
        self._forget_misread(server, by)
        before = self.reports.get(server)
        ago_s = status.ago_s if by else 0.0
        report = StatusReport(status, at - timedelta(seconds=ago_s), by, self.steady() - ago_s)
        if before is not None and before.heard_s > report.heard_s:
            return False
        if report.number < newest:
            since = before.behind_since if before is not None else None
            report.behind_since = since or at
        else:
            self._warned.discard(server)
        self.reports[server] = report
        return True

    def silent_s(self, report: StatusReport) -> float:
        """Tell how many seconds ago a report was sent."""
        return max(0.0, self.steady() - report.heard_s)

    def clocks_s(self, without: Collection[str] = ()) -> tuple[float, ...]:
        """Return the seconds by which the clocks of the servers are ahead of ours that have reported lately, *without* some."""
        reports = (report for name, report in self.reports.items() if name not in without)
        lately = (report.clock_s for report in reports if self.silent_s(report) <= SILENT_S)
        return tuple(seconds for seconds in lately if seconds is not None)

    def unreadable(self, server: str, why: str, by: str = "") -> None:
        """Note that a report could not be read."""
        self.misread.setdefault(server, {})[by] = why

    def _forget_misread(self, server: str, by: str) -> None:
        faults = self.misread.get(server, {})
        faults.pop(by, None)
        if not faults:
            self.misread.pop(server, None)

    def published(self, at: datetime) -> None:
        """A new version is published: every server is behind until it reports the version."""
        for report in self.reports.values():
            report.behind_since = report.behind_since or at

    def keep(self, servers: frozenset[str]) -> None:
        """Forget the servers that are not in *servers*."""
        self.reports = {name: report for name, report in self.reports.items() if name in servers}
        for name, faults in list(self.misread.items()):
            for by in [by for by in faults if name not in servers or (by and by not in servers)]:
                self._forget_misread(name, by)

    def late(self, at: datetime, after: timedelta) -> list[tuple[str, StatusReport]]:
        """Return the servers that have been behind for longer than *after*, each of them only once."""
        found = []
        for name, report in self.reports.items():
            since = report.behind_since
            if since is not None and at - since >= after and name not in self._warned:
                self._warned.add(name)
                found.append((name, report))
        return found

    def servers_with(self, number: int) -> frozenset[str]:
        """Return the servers that have reported version *number*, or a later one, as in force."""
        return frozenset(name for name, report in self.reports.items() if report.number >= number)
