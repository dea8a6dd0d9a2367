"""The status of a source of CRLs or OCSP responses: what was fetched from it, and since when it fails."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import AwareDatetime

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
    failing_since: AwareDatetime | None = None
    why: str = ""
    alarming: bool = False
