"""How a source of revocation lists or OCSP answers does: what is held from it, and for how long it has failed."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import AwareDatetime

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
    failing_since: AwareDatetime | None = None
    why: str = ""
    alarming: bool = False
