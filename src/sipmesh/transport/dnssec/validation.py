"""The way from a trust anchor down to the zone of a name, and what that zone says of the name (RFC 4035 5).

Which answers are secure: an RRset that the keys of its zone have signed, and the proof by NSEC or NSEC3 that there is none.
The keys of each zone are proved by DS records of the zone above, up to the anchor. Insecure is an answer of a zone of which the
zone above proves that it has no DS record, or none of an algorithm that counts. Everything else is bogus.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import dns.exception
import dns.message
import dns.name
import dns.rdatatype
from cryptography.exceptions import UnsupportedAlgorithm

from sipmesh.topology.builder.dns_findings import DnsAnswer, Dnssec
from sipmesh.transport.dnssec.denial import CNAME, DNAME, DS, NS, SOA, denial_in
from sipmesh.transport.dnssec.signed_zone import BogusError, InsecureError, SignedZone, Work, zone_of
from sipmesh.transport.dnssec.trust_anchor import nearest

if TYPE_CHECKING:
    from sipmesh.transport.dnssec.signed_zone import Signed
    from sipmesh.transport.dnssec.trust_anchor import Anchors

MOST_ALIASES: Final = 4
MOST_LABELS: Final = 16
"""Of a name, without the root: each costs a question."""

DNSKEY: Final = dns.rdatatype.DNSKEY


class Question(NamedTuple):
    """A question for a name server."""

    name: dns.name.Name
    kind: int


Steps = Generator[Question, "dns.message.Message", DnsAnswer]
_Zones = Generator[Question, "dns.message.Message", SignedZone]


def validation(name: dns.name.Name, kind: int, anchors: Anchors, at: int) -> Steps:
    """Yield the questions that prove what DNS has of *name* and *kind* at the second *at*; their messages are sent in."""
    try:
        return (yield from _followed(name, kind, anchors, SignedZone(name, (), at, Work())))
    except InsecureError as known:
        return DnsAnswer((), Dnssec.INSECURE, why=str(known))
    except (BogusError, UnsupportedAlgorithm, dns.exception.DNSException, ValueError) as wrong:
        return DnsAnswer((), Dnssec.BOGUS, why=str(wrong))


def _followed(name: dns.name.Name, kind: int, anchors: Anchors, start: SignedZone) -> Steps:
    """Follow the aliases of *name* to its records; each alias has to be proved too (RFC 7671 7)."""
    for _ in range(MOST_ALIASES + 1):
        top = nearest(anchors, name)
        if top is None:
            return DnsAnswer((), Dnssec.UNKNOWN, why=f"no trust anchor is above {name}")
        zone = yield from _zone_of_name(name, top, anchors[top], start)
        response = yield Question(name, kind)
        _has_no_dname(name, response)
        found = zone.signed(response.answer, name, kind)
        shown = found or zone.signed(response.answer, name, CNAME)
        if shown is None:
            _is_denied(name, kind, response, zone)
            return DnsAnswer((), Dnssec.SECURE, why=f"{zone.name} proves that there is none", until=zone.until)
        _expands_rightly(shown, response, zone)
        if found is not None:
            data = tuple(sorted(record.to_text() for record in found.rrset))
            return DnsAnswer(data, Dnssec.SECURE, why=f"signed by {zone.name}", until=zone.until)
        name, start = shown.rrset[0].target, zone
    raise BogusError(f"more than {MOST_ALIASES} aliases")


def _zone_of_name(name: dns.name.Name, top: dns.name.Name, digests: Sequence[Any], start: SignedZone) -> _Zones:
    """Go down from the anchor *top* to the zone that has *name*."""
    if len(name) > MOST_LABELS + 1:
        raise BogusError(f"{name} has more than {MOST_LABELS} labels")
    zone = zone_of(top, digests, (yield Question(top, DNSKEY)), start)
    for depth in range(len(top) + 1, len(name) + 1):
        child = name.split(depth)[1]
        response = yield Question(child, DS)
        _has_no_dname(child, response)
        found = zone.signed(response.answer, child, DS)
        if found is not None and not found.is_expanded:
            zone = zone_of(child, list(found.rrset), (yield Question(child, DNSKEY)), zone)
        elif zone.signed(response.answer, child, CNAME) is None:
            _is_no_zone(child, response, zone)
    return zone


def _has_no_dname(name: dns.name.Name, response: dns.message.Message) -> None:
    if any(rrset.rdtype == DNAME for rrset in response.answer):
        raise BogusError(f"{name}: the answer has a DNAME record, which is not followed")


def _is_no_zone(child: dns.name.Name, response: dns.message.Message, zone: SignedZone) -> None:
    """Raise an error unless it is proved that no zone begins at *child*: then the zone above has the names below it.

    Raises:
        InsecureError: A zone begins there, and it is proved that it is not signed.
        BogusError: It is not proved that there is no DS record.
    """
    denial = denial_in(response, zone)
    types = denial.types_at(child)
    if types is None and denial.is_absent(child):
        return
    if types is None or DS in types or SOA in types:
        raise BogusError(f"{child} DS in {zone.name}: the records do not deny it")
    if NS in types:
        raise InsecureError(f"{zone.name} proves that the zone {child} is not signed")


def _expands_rightly(found: Signed, response: dns.message.Message, zone: SignedZone) -> None:
    """Raise an error for an RRset of a wildcard, unless the name itself does not exist (RFC 4035 5.3.4)."""
    name = found.rrset.name
    if found.is_expanded and not denial_in(response, zone).is_covered(name.split(found.labels + 2)[1]):
        raise BogusError(f"{name} in {zone.name}: a record of a wildcard, and no proof that the name does not exist")


def _is_denied(name: dns.name.Name, kind: int, response: dns.message.Message, zone: SignedZone) -> None:
    """Raise an error unless it is proved that *name* has no records of *kind* (RFC 4035 5.4, RFC 5155 8.4 to 8.7)."""
    denial = denial_in(response, zone)
    types = denial.types_at(name)
    if types is None and denial.is_absent(name):
        closer = denial.next_closer(name)
        wildcard = dns.name.Name((b"*",)).concatenate(closer.parent()) if closer is not None else name
        types = denial.types_at(wildcard)
        if types is None and denial.is_absent(wildcard):
            return
    if types is None or kind in types or CNAME in types or (NS in types and SOA not in types):
        raise BogusError(
            f"{name} {dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind))} in {zone.name}: "
            "the records do not deny it"
        )
