"""When the audit log gets a line for a refused server: once an hour for each server, with the number of other refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

EVERY: Final = timedelta(hours=1)
"""The least time between two lines about one server: a server asks again in each report, a stolen one even more often."""

LONGEST_REASON: Final = 500
"""Characters of a reason, which may quote text from the server."""

MOST_SERVERS: Final = 10_000
"""How many servers are remembered; their names are from the topology and from earlier versions."""


@dataclass(slots=True)
class _Refused:
    at: datetime
    more: int = 0


@dataclass(frozen=True, slots=True)
class RefusalLine:
    """One line: the reason, and *again*, how many refusals since the previous line had no line."""

    refused: str
    again: int = 0

    def about(self) -> Mapping[str, str | int]:
        """Return the line in the form of the audit log."""
        return {"refused": self.refused, **({"again": self.again} if self.again else {})}


class RefusalAudit:
    """The refusals of each server since its last line; times have a time zone."""

    def __init__(self) -> None:
        self._last: dict[str, _Refused] = {}

    def line(self, server: str, why: str, at: datetime) -> RefusalLine | None:
        """Count a refusal; return the line to write, or None if the last line is less than an hour old."""
        last = self._last.get(server)
        if last is not None and at - last.at < EVERY:
            last.more += 1
            return None
        if last is None and len(self._last) >= MOST_SERVERS:
            del self._last[next(iter(self._last))]
        self._last[server] = _Refused(at)
        return RefusalLine(why[:LONGEST_REASON], last.more if last is not None else 0)
