"""What every server has said of itself last: the version it holds, its certificate, its links, its faults."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

BEHIND_TOO_LONG = timedelta(minutes=1)
"""A server that holds an older version for longer than this is told of."""

CLOCKS_DIFFER_S = 5.0
"""A difference to management's clock that is told of: certificates and lists begin and end by the clock."""

MOST_TEXT = 500
LONGEST_AGO_S = 1e9


@dataclass(slots=True)
class Report:
    """What one server said last; *heard_at* by our clock, *by* which server it was brought, empty if by itself."""

    told: dict[str, Any]
    heard_at: datetime
    by: str = ""
    behind_since: datetime | None = None

    @property
    def number(self) -> int:
        """The version that it has in force."""
        number = self.told.get("number")
        return number if isinstance(number, int) else 0

    @property
    def error(self) -> str:
        """What went wrong there last."""
        return str(self.told.get("error") or "")[:MOST_TEXT]

    @property
    def clock_s(self) -> float | None:
        """How far its clock is ahead of ours, in seconds; a report that was brought by another server tells nothing of that."""
        try:
            said = datetime.fromisoformat(str(self.told["at"]))
        except (KeyError, ValueError):
            return None
        if self.by or said.tzinfo is None:
            return None
        return round((said - self.heard_at).total_seconds(), 3)


@dataclass(slots=True)
class Census:
    """The newest report of each server."""

    reports: dict[str, Report] = field(default_factory=dict)
    _warned: set[str] = field(default_factory=set)

    def heard(self, server: str, told: dict[str, Any], at: datetime, newest: int, by: str = "") -> None:
        """Take a report; *newest* is the version that every server should hold by now.

        What was brought is as old as its bringer says; of several that bring the same server, the one that heard it last counts.
        """
        before = self.reports.get(server)
        report = Report(told, at - _ago(told) if by else at, by)
        if before is not None and before.heard_at > report.heard_at:
            return
        if report.number < newest:
            since = before.behind_since if before is not None else None
            report.behind_since = since or at
        else:
            self._warned.discard(server)
        self.reports[server] = report

    def published(self, at: datetime) -> None:
        """There is a new version: everybody is behind until they say otherwise."""
        for report in self.reports.values():
            report.behind_since = report.behind_since or at

    def keep(self, servers: frozenset[str]) -> None:
        """Forget all others."""
        self.reports = {name: report for name, report in self.reports.items() if name in servers}

    def late(self, at: datetime) -> list[tuple[str, Report]]:
        """Those that have been behind for too long and that were not given before."""
        found = []
        for name, report in self.reports.items():
            since = report.behind_since
            if since is not None and at - since >= BEHIND_TOO_LONG and name not in self._warned:
                self._warned.add(name)
                found.append((name, report))
        return found

    def holding(self, number: int) -> frozenset[str]:
        """Who has said that it has version *number*, or a later one, in force."""
        return frozenset(name for name, report in self.reports.items() if report.number >= number)


def _ago(told: dict[str, Any]) -> timedelta:
    """How long ago a server said what another has brought."""
    ago = told.get("ago_s")
    return timedelta(seconds=min(max(ago, 0), LONGEST_AGO_S)) if isinstance(ago, int | float) else timedelta()


def now_utc() -> datetime:
    """What our clock says."""
    return datetime.now(UTC)
