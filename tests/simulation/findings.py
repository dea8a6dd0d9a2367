"""What several runs have shown together."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulation.simulation import Result


@dataclass
class Findings:
    """The sums of some runs: virtual seconds, events, faults by kind, and broken rules."""

    runs: int = 0
    seconds: float = 0.0
    events: int = 0
    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    failed: list[int] = field(default_factory=list)
    began: float = field(default_factory=time.process_time)

    def add(self, result: Result) -> None:
        """Add one run."""
        self.runs += 1
        self.seconds += result.seconds
        self.events += result.events
        self.steps += result.steps
        self.faults += result.faults
        if not result.passed:
            self.failed.append(result.seed)
            self.rules[result.rule] += 1

    def summary(self) -> str:
        """Return the sums as text."""
        spent = time.process_time() - self.began
        faults = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
        lines = [
            f"seeds: {self.runs}, {self.seconds / 3600:.2f} virtual hours in {spent:.0f} s of CPU",
            f"{self.events} events, {self.steps} steps of the loop",
            f"{sum(self.faults.values())} faults: {faults}",
            f"seeds that broke an invariant: {len(self.failed)}{': ' if self.failed else ''}"
            + ", ".join(map(str, self.failed)),
            *(f"  {count} x {rule}" for rule, count in self.rules.most_common()),
        ]
        return "\n".join(lines)
