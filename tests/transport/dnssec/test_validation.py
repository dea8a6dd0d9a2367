"""DNSSEC from a trust anchor down, on zones that Knot DNS signs, through a resolver that lies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import dns.dnssec
import dns.dnssectypes
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cli.topology.dns.dns_world import ask
from sipmesh.demo.ports import HOST
from sipmesh.server.process.dns_lookups import proved
from sipmesh.topology.builder.dns_findings import DnsAnswer, Dnssec
from sipmesh.transport.dnssec.trust_anchor import anchors_of
from support.running import on_loop
from support.signed_zones import Lie, SignedZones, lying_resolver, signed_zones

pytestmark = pytest.mark.peer("knot")

DATA = "3 1 1 " + "ab" * 32
OTHER = "3 1 1 " + "cd" * 32
DAYS_30 = 30 * 86_400


def edge(zone: str) -> str:
    """The name of the TLSA records in *zone*."""
    return f"_5061._tcp.sip.{zone}"


def records(zone: str) -> list[str]:
    return [
        f"{edge(zone)}. 60 TLSA {DATA}",
        f"_443._tcp.other.{zone}. 60 TLSA {OTHER}",
        f"alias.{zone}. 60 CNAME {edge(zone)}.",
        f"loop.{zone}. 60 CNAME loop.{zone}.",
        f"*.wild.{zone}. 60 TLSA {OTHER}",
        f"here.wild.{zone}. 60 TLSA {DATA}",
        f"moved.{zone}. 60 DNAME sip.{zone}.",
    ]


KINDS = {"nsec.test": "nsec", "nsec3.test": "nsec3", "optout.test": "optout"}


@pytest.fixture(scope="module", name="zones")
def _zones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedZones]:
    made = {zone: (policy, records(zone)) for zone, policy in KINDS.items()}
    made |= {"costly.test": ("costly", records("costly.test"))}
    for zone in ("plain.test", *(f"plain.{name}" for name in KINDS)):
        made[zone] = ("unsigned", records(zone))
    with signed_zones(tmp_path_factory.mktemp("dns"), made) as zones:
        yield zones


async def asked(zones: SignedZones, name: str, port: int = 0, *, anchor: str = "", later_s: int = 0) -> DnsAnswer:
    return await proved(
        (name, "TLSA"),
        anchors_of([anchor or zones.anchor]),
        [(HOST, port or zones.port)],
        int(time.time()) + later_s,
    )


async def through(zones: SignedZones, lie: Lie, name: str) -> DnsAnswer:
    async with lying_resolver(zones.port, lie) as port:
        return await asked(zones, name, port)


@on_loop
async def test_signed_record_and_its_absence_are_secure(zones: SignedZones) -> None:
    """By NSEC and by NSEC3; names without records, with other types, and that do not exist."""
    for zone in KINDS:
        answer = await asked(zones, edge(zone))
        assert (answer.data, answer.dnssec, answer.why) == ((DATA,), Dnssec.SECURE, f"signed by {zone}.")
        assert time.time() < answer.until < time.time() + DAYS_30
    for zone in ("nsec.test", "nsec3.test"):
        for name in (f"sip.{zone}", f"_tcp.sip.{zone}", f"_5062._tcp.sip.{zone}", f"_1._tcp.none.{zone}"):
            answer = await asked(zones, name)
            assert (name, answer.data, answer.dnssec) == (name, (), Dnssec.SECURE), answer


@on_loop
async def test_aliases_and_wildcards_are_followed_where_they_are_proved(zones: SignedZones) -> None:
    for zone in KINDS:
        assert (await asked(zones, f"alias.{zone}")).data == (DATA,)
        assert (await asked(zones, f"here.wild.{zone}")).data == (DATA,)
    for zone in ("nsec.test", "nsec3.test"):
        assert (await asked(zones, f"x.wild.{zone}")).data == (OTHER,)
    assert "aliases" in (await asked(zones, "loop.nsec.test")).why
    assert "DNAME" in (await asked(zones, "_tcp.moved.nsec.test")).why


@on_loop
async def test_zone_without_signatures_is_insecure_only_by_proof(zones: SignedZones) -> None:
    """The zone above proves that it has no DS record: by NSEC, by NSEC3, and by the opt-out flag."""
    for zone in ("plain.test", *(f"plain.{name}" for name in KINDS)):
        answer = await asked(zones, edge(zone))
        assert (answer.data, answer.dnssec) == ((), Dnssec.INSECURE), answer


@on_loop
async def test_name_outside_the_anchors_is_not_known(zones: SignedZones) -> None:
    digest = zones.digests["nsec.test"]
    assert (await asked(zones, edge("nsec.test"), anchor=f"nsec.test. {digest}")).dnssec is Dnssec.SECURE
    assert (await asked(zones, edge("nsec3.test"), anchor=f"nsec.test. {digest}")).dnssec is Dnssec.UNKNOWN


@on_loop
async def test_signature_counts_from_its_inception_to_its_expiration(zones: SignedZones) -> None:
    until = (await asked(zones, edge("nsec.test"))).until
    for later_s, why in ((until - int(time.time()) + 60, "expired"), (-2 * 86_400, "not yet valid")):
        answer = await asked(zones, edge("nsec.test"), later_s=later_s)
        assert answer.dnssec is Dnssec.BOGUS
        assert why in answer.why


@on_loop
async def test_anchor_of_another_key_is_bogus(zones: SignedZones) -> None:
    wrong = zones.anchor[:-4] + ("0000" if zones.anchor[-4:] != "0000" else "1111")
    answer = await asked(zones, edge("nsec.test"), anchor=wrong)
    assert (answer.dnssec, "no key has a digest" in answer.why) == (Dnssec.BOGUS, True)


@on_loop
async def test_iterations_without_end_are_not_computed(zones: SignedZones) -> None:
    """The zone of a stranger would choose our work; its signed record needs none, and counts."""
    assert (await asked(zones, edge("costly.test"))).dnssec is Dnssec.BOGUS
    assert "iterations" in (await asked(zones, "_1._tcp.sip.costly.test")).why


# What a resolver, or an attacker on the way to it, can change. Each lie changes the answer to one question.


def of(name: str, kind: str, change: Callable[[dns.message.Message], object]) -> Lie:
    """Change the answers to one question."""

    def lie(true: dns.message.Message) -> dns.message.Message:
        question = true.question[0]
        if (question.name.to_text(), dns.rdatatype.to_text(question.rdtype)) == (f"{name}.", kind):
            change(true)
        return true

    return lie


def both(first: Lie, second: Lie) -> Lie:
    def lie(true: dns.message.Message) -> dns.message.Message | None:
        given = first(true)
        return second(given) if given is not None else None

    return lie


def strip(message: dns.message.Message) -> None:
    """Remove all signatures."""
    for section in (message.answer, message.authority):
        section[:] = [rrset for rrset in section if rrset.rdtype != dns.rdatatype.RRSIG]


def empty(message: dns.message.Message) -> None:
    message.answer.clear()
    message.authority.clear()


def no_proof(message: dns.message.Message) -> None:
    message.authority.clear()


def changed(message: dns.message.Message) -> None:
    """Put another certificate in the record, under the old signature."""
    for rrset in list(message.answer):
        if rrset.rdtype == dns.rdatatype.TLSA:
            message.answer.remove(rrset)
            message.answer.append(dns.rrset.from_text(rrset.name, 60, "IN", "TLSA", OTHER))


def instead(zones: SignedZones, name: str, kind: str) -> Callable[[dns.message.Message], None]:
    """Replay the true answer to another question."""

    def change(message: dns.message.Message) -> None:
        other = ask(name, kind, zones.port)
        message.answer[:], message.authority[:] = other.answer, other.authority
        message.set_rcode(other.rcode())

    return change


def renamed(zones: SignedZones, name: str, kind: str, owner: str) -> Callable[[dns.message.Message], None]:
    """Give the records of *name* as those of *owner*, with their signatures."""

    def change(message: dns.message.Message) -> None:
        message.answer[:] = ask(name, kind, zones.port).answer
        for rrset in message.answer:
            rrset.name = dns.name.from_text(owner)

    return change


def forged(zone: str) -> Callable[[dns.message.Message], None]:
    """Sign the other record with a key of the attacker, and present that key with the others."""
    key: Any = ec.generate_private_key(ec.SECP256R1())
    public = dns.dnssec.make_dnskey(key.public_key(), dns.dnssectypes.Algorithm.ECDSAP256SHA256, flags=257)
    name, since = dns.name.from_text(zone), time.time() - 60

    def change(message: dns.message.Message) -> None:
        kind = message.question[0].rdtype
        if kind == dns.rdatatype.DNSKEY:
            rrset = message.answer[0]
            rrset.add(public)
        else:
            rrset = dns.rrset.from_text(message.question[0].name, 60, "IN", "TLSA", OTHER)
        signature = dns.dnssec.sign(rrset, key, name, public, inception=since, lifetime=3600)
        message.answer[:] = [rrset, dns.rrset.from_rdata(rrset.name, 60, signature)]

    return change


def lies(zones: SignedZones, zone: str, twin: str) -> dict[str, Lie]:
    """The lies about *zone*; *twin* is the other signed zone."""
    tlsa, plain, attacker = edge(zone), f"plain.{zone}", forged(zone)
    return {
        "stripped record": of(tlsa, "TLSA", strip),
        "stripped DS": of(zone, "DS", strip),
        "stripped keys": of(zone, "DNSKEY", strip),
        "no DS, no proof": of(zone, "DS", empty),
        "DS of the unsigned zone": of(zone, "DS", instead(zones, "plain.test", "DS")),
        "DS of the other zone": of(zone, "DS", renamed(zones, twin, "DS", f"{zone}.")),
        "the record is missing": of(tlsa, "TLSA", empty),
        "the record is denied by another name": of(tlsa, "TLSA", instead(zones, f"_1._tcp.other.{zone}", "TLSA")),
        "the record is denied by the unsigned zone": of(tlsa, "TLSA", instead(zones, plain, "DS")),
        "the record is denied by the apex": of(tlsa, "TLSA", instead(zones, zone, "TLSA")),
        "another certificate": of(tlsa, "TLSA", changed),
        "the record of another name": of(tlsa, "TLSA", renamed(zones, f"_443._tcp.other.{zone}", "TLSA", f"{tlsa}.")),
        "the key of the attacker": of(zone, "DNSKEY", forged(zone)),
        "a record by the key of the attacker": of(tlsa, "TLSA", forged(zone)),
        "a record by that key, with the key": both(of(zone, "DNSKEY", attacker), of(tlsa, "TLSA", attacker)),
        "a record of the wildcard": of(tlsa, "TLSA", renamed(zones, f"x.wild.{zone}", "TLSA", f"{tlsa}.")),
    }


@pytest.mark.parametrize("zone", KINDS)
@on_loop
async def test_every_lie_of_a_resolver_is_bogus(zones: SignedZones, zone: str) -> None:
    """The control is the same question without the lie, which is secure."""
    twin = "nsec3.test" if zone == "nsec.test" else "nsec.test"
    given = lies(zones, zone, twin)
    answers = await asyncio.gather(*(through(zones, lie, edge(zone)) for lie in given.values()))
    assert {answer.dnssec for answer in answers} == {Dnssec.BOGUS}, dict(zip(given, answers, strict=True))
    assert (await through(zones, lambda true: true, edge(zone))).dnssec is Dnssec.SECURE


@on_loop
async def test_record_of_a_wildcard_does_not_hide_the_name_that_exists(zones: SignedZones) -> None:
    """The wildcard is signed, and its signature fits each name below it: only the denial of that name tells."""
    for zone in ("nsec.test", "nsec3.test"):
        name = f"here.wild.{zone}"
        replay = renamed(zones, f"x.wild.{zone}", "TLSA", f"{name}.")
        answer = await through(zones, of(name, "TLSA", replay), name)
        assert answer.dnssec is Dnssec.BOGUS, zone
        unproved = await through(zones, of(f"x.wild.{zone}", "TLSA", no_proof), f"x.wild.{zone}")
        assert unproved.dnssec is Dnssec.BOGUS, zone


@on_loop
async def test_downgrade_to_an_unsigned_zone_needs_the_proof_of_the_zone_above(zones: SignedZones) -> None:
    """Without the proof it is bogus, and not insecure: an attacker cannot turn a check off."""
    for above in ("test", *KINDS):
        name = edge(f"plain.{above}")
        answer = await through(zones, of(f"plain.{above}", "DS", no_proof), name)
        assert answer.dnssec is Dnssec.BOGUS, above


@on_loop
async def test_resolver_that_fails_proves_nothing(zones: SignedZones) -> None:
    def fails(true: dns.message.Message) -> dns.message.Message:
        true.set_rcode(dns.rcode.SERVFAIL)
        return true

    answer = await through(zones, fails, edge("nsec.test"))
    assert (answer.dnssec, "SERVFAIL" in answer.fault) == (Dnssec.UNKNOWN, True)


@on_loop
async def test_bit_of_a_resolver_does_not_count(zones: SignedZones) -> None:
    """The AD bit is not signed; a validation of ours does not read it."""

    def claims(true: dns.message.Message) -> dns.message.Message:
        strip(true)
        true.flags |= dns.flags.AD
        return true

    assert (await through(zones, claims, edge("nsec.test"))).dnssec is Dnssec.BOGUS


@on_loop
async def test_many_signatures_and_keys_cost_a_bounded_number_of_checks(zones: SignedZones) -> None:
    """A zone may present thousands; what is tried first is what counts (KeyTrap)."""

    def crowded(true: dns.message.Message) -> dns.message.Message:
        for rrset in true.answer:
            if rrset.rdtype == dns.rdatatype.RRSIG:
                wrong: list[Any] = [record.replace(signature=bytes([n]) * 64) for record in rrset for n in range(200)]
                rrset.items.clear()
                for record in wrong:
                    rrset.add(record)
        true.flags &= ~dns.flags.TC
        return true

    before = time.process_time()
    answer = await asyncio.wait_for(through(zones, crowded, edge("nsec.test")), 60)
    assert answer.dnssec is Dnssec.BOGUS
    assert time.process_time() - before < 10.0
