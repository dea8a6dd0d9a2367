"""Everything that happens in a run, in order: its digest tells whether two runs were the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Trace:
    """The events of a run; the lines are kept only if they are to be read."""

    kept: bool = False
    lines: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, at: float, where: str, kind: str, what: str = "") -> None:
        """Add an event at loop time *at* in seconds."""
        line = f"{at:10.4f} {where:18} {kind:12} {what}"
        self._digest.update(line.encode() + b"\n")
        self.counts[kind] += 1
        if self.kept:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        """The digest of all lines."""
        return self._digest.hexdigest()

    @property
    def events(self) -> int:
        """How many events there were."""
        return sum(self.counts.values())
