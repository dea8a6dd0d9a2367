"""A log that keeps its events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sipmesh.server.log import Log


@dataclass
class Told:
    """Every line of one server's log, as the values it holds."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def log(self) -> Log:
        """A log that writes here and nowhere else."""
        return Log(self._keep)

    def _keep(self, level: str, told: dict[str, Any]) -> None:
        self.lines.append({"level": level, **told})

    def events(self, event: str) -> Iterator[dict[str, Any]]:
        """The lines of one event, oldest first."""
        return (line for line in self.lines if line["event"] == event)

    def last(self, event: str) -> dict[str, Any]:
        """The newest line of one event."""
        return list(self.events(event))[-1]
