"""What one running server uses of what expires: its certificates, anchors, CRLs and their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.topology.expiry.fetch_status import FetchStatus
    from sipmesh.topology.expiry.validity import Chain, DatedItem


@dataclass(frozen=True, slots=True)
class Use:
    """What one running server uses now. The key of *shown* says whether the chain is for partners only.

    *for_clients* are the further certificates that only clients get, *for_partners* those for single partners.
    """

    server: str
    pid: int
    shown: Mapping[bool, Chain]
    anchors: tuple[DatedItem, ...] = ()
    lists: tuple[DatedItem, ...] = ()
    supplies: tuple[FetchStatus, ...] = ()
    for_clients: tuple[Chain, ...] = ()
    for_partners: Mapping[str, Chain] = field(default_factory=dict)

    def uses(self, item: DatedItem) -> bool:
        """Tell whether this server uses exactly this anchor or CRL."""
        return any(item.mark == used.mark and item.subject == used.subject for used in (*self.anchors, *self.lists))
