"""The status of a source of CRLs or OCSP responses: what was fetched from it, and since when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sipmesh.topology.expiry.validity import DatedItem


@dataclass(frozen=True, slots=True)
class FetchStatus:
    """One source. Instants are timezone-aware.

    *owner* is the partner; "" for our own authority. *held* is the data that was fetched last; its end includes the grace.
    After that end, certificates that need this data are refused. *failing_since* is None and *why* is "" while the source
    works. *alarming* means that it has failed for so long that an operator should check it.
    """

    source: str
    owner: str
    held: DatedItem | None
    failing_since: datetime | None = None
    why: str = ""
    alarming: bool = False

    def to_json(self) -> dict[str, Any]:
        """Give JSON values. Instants are in ISO 8601."""
        return {
            "source": self.source,
            "owner": self.owner,
            "held": self.held.to_json() if self.held else None,
            "failing_since": self.failing_since.isoformat() if self.failing_since else None,
            "why": self.why,
            "alarming": self.alarming,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read the result of `to_json`; raises KeyError, TypeError or ValueError for other values."""
        since = datetime.fromisoformat(data["failing_since"]) if data["failing_since"] else None
        held = DatedItem.from_json(data["held"]) if data["held"] else None
        return cls(str(data["source"]), str(data["owner"]), held, since, str(data["why"]), bool(data["alarming"]))
