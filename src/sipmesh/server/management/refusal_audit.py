"""When the audit log has a line for what a server was refused: once in an hour for each, and the rest as a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

EVERY: Final = timedelta(hours=1)
"""Between two lines about one server: it asks again with each of its reports, and a stolen one as often as it likes."""

LONGEST_REASON: Final = 500
"""Characters of a reason, which may quote what the server has sent."""

MOST_SERVERS: Final = 10_000
"""Servers that are remembered; the names are those of the topology and of versions before it."""


@dataclass(slots=True)
class _Refused:
    at: datetime
    more: int = 0


@dataclass(frozen=True, slots=True)
class RefusalLine:
    """What a line says: the reason, and how many refusals have had no line since the one before (*again*)."""

    refused: str
    again: int = 0

    def about(self) -> Mapping[str, str | int]:
        """The line as the audit log has it."""
        return {"refused": self.refused, **({"again": self.again} if self.again else {})}


class RefusalAudit:
    """What each server was refused since its last line; instants are timezone-aware."""

    def __init__(self) -> None:
        self._last: dict[str, _Refused] = {}

    def __repr__(self) -> str:
        return f"<RefusalAudit of {len(self._last)} servers>"

    def line(self, server: str, why: str, at: datetime) -> RefusalLine | None:
        """Give what a line is to say, None where it is too early for one."""
        last = self._last.get(server)
        if last is not None and at - last.at < EVERY:
            last.more += 1
            return None
        if last is None and len(self._last) >= MOST_SERVERS:
            del self._last[next(iter(self._last))]
        self._last[server] = _Refused(at)
        return RefusalLine(why[:LONGEST_REASON], last.more if last is not None else 0)
