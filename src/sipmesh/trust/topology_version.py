"""The topology version on which a verdict is based, and whether a newer version is known."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TopologyVersion:
    """Version *number* of the topology. *newest* is the highest known version. 0 means: there are no versions."""

    number: int = 0
    newest: int = 0

    @property
    def is_behind(self) -> bool:
        """Whether a newer version is known. It may contain names that this version does not."""
        return self.newest > self.number > 0

    def __str__(self) -> str:
        if not self.number:
            return "the topology"
        return f"version {self.number}" + (f", and version {self.newest} exists" if self.is_behind else "")


NO_EDITION = TopologyVersion()
