"""NSEC records: what they deny, and what they do not (RFC 6840 4.1). Those of a real server are in test_validation.py."""

from __future__ import annotations

from typing import Any

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdatatype
import pytest

from sipmesh.transport.dnssec.denial import MOST_ITERATIONS, Nsec3Denial, NsecDenial
from sipmesh.transport.dnssec.signed_zone import BogusError, InsecureError

ZONE = dns.name.from_text("test")


def name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


def nsec(owner: str, following: str, *types: str) -> NsecDenial:
    return NsecDenial(ZONE, [(name(owner), dns.rdata.from_text("IN", "NSEC", f"{following}. {' '.join(types)}"))])


def test_name_between_two_names_does_not_exist() -> None:
    denial = nsec("b.test", "d.test", "A")
    assert denial.is_absent(name("c.test"))
    assert denial.next_closer(name("y.x.c.test")) == name("c.test")
    for there in ("b.test", "d.test", "a.test", "e.test", "test", "c.other"):
        assert not denial.is_absent(name(there))
    assert nsec("d.test", "test", "A").is_absent(name("z.test"))


def test_name_above_a_name_exists_without_types() -> None:
    denial = nsec("b.test", "x.c.test", "A")
    assert denial.types_at(name("c.test")) == frozenset()
    assert not denial.is_absent(name("c.test"))
    assert denial.types_at(name("b.test")) == frozenset({int(dns.rdatatype.A)})


@pytest.mark.parametrize("types", [("NS",), ("DNAME",)])
def test_record_of_a_delegation_denies_no_name_below(types: tuple[str, ...]) -> None:
    """The names below are of another zone. At the apex of a zone the same types hide nothing."""
    assert not nsec("b.test", "d.test", *types).is_absent(name("x.b.test"))
    assert nsec("b.test", "d.test", *types).is_absent(name("c.test"))
    assert nsec("test", "d.test", "NS", "SOA").is_absent(name("c.test"))


def nsec3(flags: int = 0, iterations: int = 0, *, below: str = "") -> Nsec3Denial:
    """Of the apex, which covers every other hash."""
    owner = dns.dnssec.nsec3_hash(ZONE, None, iterations, 1)
    made: Any = dns.rdata.from_text("IN", "NSEC3", f"1 {flags} {iterations} - {owner} NS SOA")
    return Nsec3Denial(ZONE, [(name(f"{owner}.{below}test"), made)])


def test_hash_that_no_name_has_is_denied() -> None:
    assert nsec3().is_absent(name("c.test"))
    assert nsec3().types_at(ZONE) == frozenset({2, 6})
    assert not nsec3(below="b.").is_absent(name("c.test"))


def test_opt_out_may_hide_a_zone_that_is_not_signed() -> None:
    with pytest.raises(InsecureError):
        nsec3(flags=1).is_absent(name("c.test"))


def test_iterations_are_bounded() -> None:
    assert nsec3(iterations=MOST_ITERATIONS).is_absent(name("c.test"))
    with pytest.raises(BogusError):
        nsec3(iterations=MOST_ITERATIONS + 1)
