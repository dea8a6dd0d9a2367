"""The DNS records of a topology as text: a zone file of BIND, and a script for nsupdate (RFC 2136)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.builder.dns_records import TTL_S, DnsRecord, zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipmesh.topology.document.model import Topology


def zones(records: Sequence[DnsRecord], topology: Topology) -> dict[str, list[DnsRecord]]:
    """Sort *records* by the zone to which each belongs."""
    found: dict[str, list[DnsRecord]] = {}
    for record in records:
        found.setdefault(zone_of(record.name, topology), []).append(record)
    return found


def bind_text(records: Sequence[DnsRecord], topology: Topology) -> Sequence[str]:
    """Give the lines of zone files (RFC 1035 5), with absolute names; a name without an address is a comment."""
    return list(_bind(records, topology))


def _bind(records: Sequence[DnsRecord], topology: Topology) -> Iterator[str]:
    width = max((len(record.name) for record in records), default=0) + 1
    for zone, held in zones(records, topology).items():
        yield f"; zone {zone}"
        yield from (_line(record, width) for record in held)


def _line(record: DnsRecord, width: int) -> str:
    name = f"{record.name}."
    if not record.data:
        return f"; {name} needs an A or AAAA record: the topology has no address for it"
    return f"{name:<{width}} {TTL_S} IN {record.type} {record.data}"


def nsupdate_text(records: Sequence[DnsRecord], topology: Topology) -> Sequence[str]:
    """Give the lines of a script for nsupdate: it replaces all records of each name and type at once, zone by zone."""
    return list(_nsupdate(records, topology))


def _nsupdate(records: Sequence[DnsRecord], topology: Topology) -> Iterator[str]:
    for zone, held in zones(records, topology).items():
        known = [record for record in held if record.data]
        if not known:
            continue
        yield f"zone {zone}."
        for name, kind in dict.fromkeys((record.name, record.type) for record in known):
            yield f"update delete {name}. {kind}"
        yield from (f"update add {record.name}. {TTL_S} {record.type} {record.data}" for record in known)
        yield "send"
