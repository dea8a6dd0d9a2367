"""Which version of the topology a verdict goes by, and whether a newer one is known of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TopologyVersion:
    """Version *number* of the topology; *newest* is the highest that this server knows of. 0: there are no versions."""

    number: int = 0
    newest: int = 0

    @property
    def is_behind(self) -> bool:
        """Whether a newer version exists, in which a name may stand that is not in this one."""
        return self.newest > self.number > 0

    def __str__(self) -> str:
        if not self.number:
            return "the topology"
        return f"version {self.number}" + (f", and version {self.newest} exists" if self.is_behind else "")


NO_EDITION = TopologyVersion()
