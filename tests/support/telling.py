"""A log that keeps what was told."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast

import structlog

from sipmesh.server.log import Log


@dataclass
class Told:
    """Every line of one server's log, as the values it holds."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def log(self) -> Log:
        """A log that writes here and nowhere else."""
        logger = structlog.wrap_logger(None, processors=[self._keep], wrapper_class=structlog.stdlib.BoundLogger)
        return cast("Log", logger)

    def _keep(self, _logger: object, level: str, told: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        self.lines.append({"level": level, **told})
        raise structlog.DropEvent

    def events(self, event: str) -> Iterator[dict[str, Any]]:
        """The lines of one event, oldest first."""
        return (line for line in self.lines if line["event"] == event)

    def last(self, event: str) -> dict[str, Any]:
        """The newest line of one event."""
        return list(self.events(event))[-1]
