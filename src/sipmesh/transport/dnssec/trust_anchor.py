"""Trust anchors of DNSSEC: DS records, in the text form of zone files without class and type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

if TYPE_CHECKING:
    from collections.abc import Iterable

DS: Final = dns.rdatatype.DS
Anchors = dict[dns.name.Name, list[Any]]
"""The DS records of each zone that is an anchor."""


def anchors_of(texts: Iterable[str]) -> Anchors:
    """Read anchors such as ``. 20326 8 2 E06D…``; a topology has checked their form."""
    found: Anchors = {}
    for text in texts:
        zone, fields = text.split(" ", 1)
        found.setdefault(dns.name.from_text(zone), []).append(dns.rdata.from_text(dns.rdataclass.IN, DS, fields))
    return found


def nearest(anchors: Anchors, name: dns.name.Name) -> dns.name.Name | None:
    """Return the anchor that is the nearest zone above *name*, or *name* itself; None if there is none."""
    above = (zone for zone in anchors if name.is_subdomain(zone))
    return max(above, key=len, default=None)
