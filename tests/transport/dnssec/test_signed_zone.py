"""RRsets and the keys that sign them: what is tried is bounded, and a key of no use is not tried."""

from __future__ import annotations

import struct
import time
from typing import Any

import dns.dnssec
import dns.dnssectypes
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.transport.dnssec.signed_zone import (
    MOST_CHECKS,
    MOST_KEYS,
    BogusError,
    InsecureError,
    SignedZone,
    Work,
    zone_of,
)

ZONE = dns.name.from_text("a.test")
AT = int(time.time())
KEY = ec.generate_private_key(ec.SECP256R1())


def public(flags: int = 257) -> Any:
    return dns.dnssec.make_dnskey(KEY.public_key(), dns.dnssectypes.Algorithm.ECDSAP256SHA256, flags=flags)


def signed(rrset: dns.rrset.RRset, key: Any, signer: dns.name.Name = ZONE) -> list[dns.rrset.RRset]:
    signature = dns.dnssec.sign(rrset, KEY, signer, key, inception=AT - 60, lifetime=3600)
    return [rrset, dns.rrset.from_rdata(rrset.name, 60, signature)]


def record(name: str = "x.a.test.") -> dns.rrset.RRset:
    return dns.rrset.from_text(name, 60, "IN", "TLSA", "3 1 1 " + "aa" * 32)


def zone(*keys: Any, left: int = MOST_CHECKS) -> SignedZone:
    return SignedZone(ZONE, keys, AT, Work(left))


def test_rrset_of_the_zone_is_signed_and_tells_its_end() -> None:
    found = zone(public()).signed(signed(record(), public()), dns.name.from_text("x.a.test"), dns.rdatatype.TLSA)
    assert found is not None
    assert (found.is_expanded, found.until) == (False, AT - 60 + 3600)


@pytest.mark.parametrize("name", ["x.b.test.", "test."])
def test_zone_signs_no_name_of_another_zone(name: str) -> None:
    section = signed(record(name), public())
    with pytest.raises(BogusError, match="no signature of this zone"):
        zone(public()).signed(section, dns.name.from_text(name), dns.rdatatype.TLSA)


def test_checks_end_when_the_work_is_spent() -> None:
    section = signed(record(), public())
    with pytest.raises(BogusError, match="checks of signatures"):
        zone(public(), left=0).signed(section, dns.name.from_text("x.a.test"), dns.rdatatype.TLSA)


def keys_of(*keys: Any) -> dns.message.Message:
    message = dns.message.make_response(dns.message.make_query(ZONE, "DNSKEY"))
    message.answer += signed(dns.rrset.from_rdata_list(ZONE, 60, keys), keys[0])
    return message


def test_keys_count_by_a_digest_of_the_zone_above() -> None:
    digest = dns.dnssec.make_ds(ZONE, public(), "SHA256")
    assert list(zone_of(ZONE, [digest], keys_of(public()), zone()).keys) == [public()]
    with pytest.raises(BogusError, match="no key has a digest"):
        zone_of(ZONE, [digest.replace(digest=bytes(32))], keys_of(public()), zone())
    with pytest.raises(InsecureError):
        zone_of(
            ZONE,
            [digest.replace(digest_type=1, digest=bytes(20)), digest.replace(algorithm=5)],
            keys_of(public()),
            zone(),
        )


@pytest.mark.parametrize("flags", [257 | 0x80, 1])
def test_key_that_is_revoked_or_of_no_zone_does_not_count(flags: int) -> None:
    digest = dns.dnssec.make_ds(ZONE, public(flags), "SHA256")
    with pytest.raises(BogusError, match="no key has a digest"):
        zone_of(ZONE, [digest], keys_of(public(flags)), zone())


def colliding(number: int) -> Any:
    """A key of no use, whose tag is the same for each *number*."""
    octets = struct.pack("!HBBHH", 256, 3, 13, number, 20_000 - number)
    return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, octets, 0, len(octets))


def digests_of(key: Any, count: int) -> list[Any]:
    """DS records of the tag of *key*; the last one is right."""
    right: Any = dns.dnssec.make_ds(ZONE, key, "SHA256")
    wrong = [right.replace(digest=number.to_bytes(32, "big")) for number in range(count - 1)]
    return [*wrong, right]


def test_keys_and_digests_of_a_zone_are_bounded_and_so_is_what_they_cost_together() -> None:
    """Each of thousands of keys could be compared with each of a thousand digests of the same tag, for a minute."""
    key = public()
    with pytest.raises(BogusError, match="DS records, more than"):
        zone_of(ZONE, digests_of(key, MOST_KEYS + 1), keys_of(key), zone())
    many = keys_of(key, *map(colliding, range(MOST_KEYS)))
    with pytest.raises(BogusError, match="keys, more than"):
        zone_of(ZONE, digests_of(key, 1), many, zone())
    with pytest.raises(BogusError, match="digests of keys"):
        zone_of(ZONE, digests_of(colliding(MOST_KEYS), MOST_KEYS), keys_of(*map(colliding, range(MOST_KEYS))), zone())
    few = keys_of(key, *map(colliding, range(MOST_KEYS - 1)))
    assert key in zone_of(ZONE, digests_of(key, MOST_KEYS), few, zone()).keys
