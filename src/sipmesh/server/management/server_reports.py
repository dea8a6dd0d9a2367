"""The last report of every server: the version that it holds, its certificate, its links, its faults."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.server.replication.server_status import ServerStatus


@dataclass(slots=True)
class StatusReport:
    """The last report of one server; *heard_at* by our clock, *by* which server it was brought, empty if by itself."""

    status: ServerStatus
    heard_at: datetime
    by: str = ""
    behind_since: datetime | None = None

    @property
    def number(self) -> int:
        """The version that it has in force."""
        return self.status.number

    @property
    def clock_s(self) -> float | None:
        """How far its clock is ahead of ours, in seconds; a report that was brought by another server tells nothing of that."""
        if self.by or self.status.at is None:
            return None
        return round((self.status.at - self.heard_at).total_seconds(), 3)


@dataclass(slots=True)
class ServerReports:
    """The newest report of each server, and what was wrong with reports that could not be read."""

    reports: dict[str, StatusReport] = field(default_factory=dict)
    misread: dict[str, dict[str, str]] = field(default_factory=dict)  # by server, and who brought it ("" for itself)
    _warned: set[str] = field(default_factory=set)

    def record(self, server: str, status: ServerStatus, at: datetime, newest: int, by: str = "") -> None:
        """Take a report; *newest* is the version that every server should hold by now.

        What was brought is as old as its bringer says; of several that bring the same server, the one that heard it last counts.
        """
        self._reads_again(server, by)
        before = self.reports.get(server)
        report = StatusReport(status, at - timedelta(seconds=status.ago_s) if by else at, by)
        if before is not None and before.heard_at > report.heard_at:
            return
        if report.number < newest:
            since = before.behind_since if before is not None else None
            report.behind_since = since or at
        else:
            self._warned.discard(server)
        self.reports[server] = report

    def unreadable(self, server: str, why: str, by: str = "") -> None:
        """Note that a report could not be read."""
        self.misread.setdefault(server, {})[by] = why

    def _reads_again(self, server: str, by: str) -> None:
        held = self.misread.get(server, {})
        held.pop(by, None)
        if not held:
            self.misread.pop(server, None)

    def published(self, at: datetime) -> None:
        """There is a new version: everybody is behind until they say otherwise."""
        for report in self.reports.values():
            report.behind_since = report.behind_since or at

    def keep(self, servers: frozenset[str]) -> None:
        """Forget all others."""
        self.reports = {name: report for name, report in self.reports.items() if name in servers}
        for name, held in list(self.misread.items()):
            for by in [by for by in held if name not in servers or (by and by not in servers)]:
                self._reads_again(name, by)

    def late(self, at: datetime, after: timedelta) -> list[tuple[str, StatusReport]]:
        """Those that have been behind for longer than *after* and that were not given before."""
        found = []
        for name, report in self.reports.items():
            since = report.behind_since
            if since is not None and at - since >= after and name not in self._warned:
                self._warned.add(name)
                found.append((name, report))
        return found

    def servers_with(self, number: int) -> frozenset[str]:
        """Who has said that it has version *number*, or a later one, in force."""
        return frozenset(name for name, report in self.reports.items() if report.number >= number)
