"""How a source of revocation lists or OCSP answers does: what is held from it, and for how long it has failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sipmesh.topology.expiry.validity import DatedItem


@dataclass(frozen=True, slots=True)
class FetchStatus:
    """One source; instants are timezone-aware.

    *owner* is the partner, empty for our own authority. *held* is what was fetched last, with the grace in its end: then
    whoever stands on it is refused. *failing_since* and *why* are empty while the source works; *alarming* says that it has
    failed for so long that somebody should look.
    """

    source: str
    owner: str
    held: DatedItem | None
    failing_since: datetime | None = None
    why: str = ""
    alarming: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values; instants in ISO 8601."""
        return {
            "source": self.source,
            "owner": self.owner,
            "held": self.held.to_json() if self.held else None,
            "failing_since": self.failing_since.isoformat() if self.failing_since else None,
            "why": self.why,
            "alarming": self.alarming,
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """The same, as `to_json` gave it; raises KeyError, TypeError or ValueError for anything else."""
        since = datetime.fromisoformat(told["failing_since"]) if told["failing_since"] else None
        held = DatedItem.from_json(told["held"]) if told["held"] else None
        return cls(str(told["source"]), str(told["owner"]), held, since, str(told["why"]), bool(told["alarming"]))
