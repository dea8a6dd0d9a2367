"""Authenticated denial of existence: what the NSEC or NSEC3 records of one answer prove (RFC 4035 5.4, 5155 8, 6840 4)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import dns.dnssec
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

from sipmesh.sip.text import ascii_upper
from sipmesh.transport.dnssec.signed_zone import BogusError, InsecureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.transport.dnssec.signed_zone import SignedZone

MOST_RECORDS: Final = 8
"""NSEC or NSEC3 records of one answer that are read; a proof needs three."""
MOST_ITERATIONS: Final = 50
"""RFC 9276 3.2: more only cost time (CVE-2023-50868). Such records prove nothing here."""

NS, SOA, CNAME, DNAME, DS = (
    dns.rdatatype.NS,
    dns.rdatatype.SOA,
    dns.rdatatype.CNAME,
    dns.rdatatype.DNAME,
    dns.rdatatype.DS,
)
Types = frozenset[int]


class Denial(Protocol):
    """The records of one kind in one answer, whose signatures of the zone are verified."""

    def types_at(self, name: dns.name.Name) -> Types | None:
        """Return the types that exist at *name*; None if no record is of that name."""

    def is_absent(self, name: dns.name.Name) -> bool:
        """Tell whether a record covers *name*: it does not exist, and no delegation above it hides it."""

    def is_covered(self, name: dns.name.Name) -> bool:
        """Tell whether a record covers *name*, where a record of a wildcard above it was expanded (RFC 5155 8.8)."""

    def next_closer(self, name: dns.name.Name) -> dns.name.Name | None:
        """Return the name just below the closest encloser of *name*, where that is proved (RFC 5155 1.3)."""


def denial_in(response: dns.message.Message, zone: SignedZone) -> Denial:
    """Return the proof in the authority section of a *response*; raises :class:`BogusError` if there is none."""
    nsec = [*_records(response.authority, dns.rdatatype.NSEC, zone)]
    if nsec:
        return NsecDenial(zone.name, nsec)
    nsec3 = [*_records(response.authority, dns.rdatatype.NSEC3, zone)]
    if not nsec3:
        raise BogusError(f"no signed NSEC or NSEC3 record of {zone.name} denies the record that is missing")
    return Nsec3Denial(zone.name, nsec3)


def _records(section: Sequence[dns.rrset.RRset], kind: int, zone: SignedZone) -> Iterator[tuple[dns.name.Name, Any]]:
    names = dict.fromkeys(
        rrset.name for rrset in section if rrset.rdtype == kind and rrset.name.is_subdomain(zone.name)
    )
    for name in list(names)[:MOST_RECORDS]:
        signed = zone.signed(section, name, kind)
        if signed is not None and not signed.is_expanded:  # RFC 6840 4.1: no proof by the expansion of a wildcard
            yield from ((name, record) for record in list(signed.rrset)[:1])


def _types(record: Any) -> Types:
    return frozenset(
        window * 256 + octet * 8 + bit
        for window, bitmap in record.windows
        for octet, value in enumerate(bitmap)
        for bit in range(8)
        if value & (0x80 >> bit)
    )


def _hides(types: Types) -> bool:
    """Tell whether names below are of another zone, or of another place: such a record denies none (RFC 6840 4.1)."""
    return (NS in types and SOA not in types) or DNAME in types


@dataclass(frozen=True, slots=True)
class NsecDenial:
    """NSEC records: each names two names of the zone, between which there is none (RFC 4034 4)."""

    zone: dns.name.Name
    records: Sequence[tuple[dns.name.Name, Any]]

    def types_at(self, name: dns.name.Name) -> Types | None:
        """See :class:`Denial`. A name that has only names below it has no record, and no types."""
        for owner, record in self.records:
            if owner == name:
                return _types(record)
            if self._covers(owner, record, name) and record.next.is_subdomain(name):
                return frozenset()
        return None

    def is_absent(self, name: dns.name.Name) -> bool:
        """See :class:`Denial`."""
        return any(
            self._covers(owner, record, name) and not record.next.is_subdomain(name) for owner, record in self.records
        )

    is_covered = is_absent

    def next_closer(self, name: dns.name.Name) -> dns.name.Name | None:
        """See :class:`Denial`. The closest encloser is the nearest name above that the covering record shows."""
        for owner, record in self.records:
            if self._covers(owner, record, name):
                depth = max(_common(name, owner), _common(name, record.next))
                return name.split(depth + 1)[1] if depth < len(name) else None
        return None

    def _covers(self, owner: dns.name.Name, record: Any, name: dns.name.Name) -> bool:
        if name.is_subdomain(owner) and name != owner and _hides(_types(record)):
            return False
        is_last = record.next == self.zone
        return bool(owner < name and (is_last or name < record.next) and name.is_subdomain(self.zone))


def _common(one: dns.name.Name, other: dns.name.Name) -> int:
    return int(one.fullcompare(other)[2])


class Nsec3Denial:
    """NSEC3 records: as NSEC, of hashes of names (RFC 5155). Those with other parameters than the first do not count."""

    def __init__(self, zone: dns.name.Name, records: Sequence[tuple[dns.name.Name, Any]]) -> None:
        first = records[0][1]
        self._zone, self._salt, self._iterations = zone, first.salt, first.iterations
        if first.iterations > MOST_ITERATIONS:
            raise BogusError(
                f"the NSEC3 records of {zone} have {first.iterations} iterations, more than {MOST_ITERATIONS}"
            )
        self._records = {
            ascii_upper(name.labels[0].decode("ascii", "replace")): record
            for name, record in records
            if (record.algorithm, record.salt, record.iterations) == (1, first.salt, first.iterations)
            and record.flags in {0, 1}  # RFC 5155 8.2
            and name.parent() == zone
        }
        self._hashes: dict[dns.name.Name, str] = {}

    def _hash(self, name: dns.name.Name) -> str:
        if name not in self._hashes:
            self._hashes[name] = dns.dnssec.nsec3_hash(name, self._salt, self._iterations, 1)
        return self._hashes[name]

    def types_at(self, name: dns.name.Name) -> Types | None:
        """See :class:`Denial`."""
        record = self._records.get(self._hash(name))
        return None if record is None else _types(record)

    def is_absent(self, name: dns.name.Name) -> bool:
        """See :class:`Denial`; raises :class:`InsecureError` where a zone that is not signed may hide behind opt-out."""
        closer = self.next_closer(name)
        return closer is not None and self.is_covered(closer)

    def is_covered(self, name: dns.name.Name) -> bool:
        """See :class:`Denial`; raises :class:`InsecureError` as `is_absent` does."""
        covering = self._covering(name)
        if covering is not None and covering.flags & 1:
            raise InsecureError(f"{name} may be a zone that is not signed: the NSEC3 record has the opt-out flag")
        return covering is not None

    def next_closer(self, name: dns.name.Name) -> dns.name.Name | None:
        """See :class:`Denial`."""
        for depth in range(len(name) - 1, len(self._zone) - 1, -1):
            types = self.types_at(name.split(depth)[1])
            if types is not None:
                return None if _hides(types) else name.split(depth + 1)[1]
        return None

    def _covering(self, name: dns.name.Name) -> Any:
        wanted = self._hash(name)
        for owner, record in self._records.items():
            until = base64.b32hexencode(record.next).decode()
            if owner < wanted < until or (until <= owner and (wanted > owner or wanted < until)):
                return record
        return None
