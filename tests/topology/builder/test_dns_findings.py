"""What DNS answers is compared with what the topology needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipmesh.topology.builder.dns_findings import DnsAnswer, Dnssec, compare, questions
from sipmesh.topology.builder.dns_records import DnsRecord, Purpose

FOR = Purpose.PHONES
ADDRESS = DnsRecord("a.test", "A", "192.0.2.1", FOR)
ANY = DnsRecord("b.test", "A", "", FOR)
SRV = DnsRecord("_sips._tcp.a.test", "SRV", "1 1 5061 a.test.", FOR)
THEIRS = DnsRecord("_sipfederationtls._tcp.p.test", "SRV", "", FOR)
NOTHING = DnsAnswer(dnssec=Dnssec.INSECURE)


def found(record: DnsRecord, *answers: DnsAnswer) -> list[tuple[str, str, list[str]]]:
    held = dict(zip(questions([record]), [*answers, NOTHING][: len(questions([record]))], strict=True))
    return [(finding.type, str(finding.state), list(finding.mend)) for finding in compare([record], held)]


def test_both_kinds_of_addresses_are_asked() -> None:
    assert questions([ADDRESS, SRV]) == [("a.test", "A"), ("a.test", "AAAA"), ("_sips._tcp.a.test", "SRV")]


@pytest.mark.parametrize(
    ("record", "answer", "state", "mend"),
    [
        (ADDRESS, DnsAnswer(["192.0.2.1"]), "good", []),
        (SRV, DnsAnswer(["1  1 5061 A.TEST."]), "good", []),
        (SRV, NOTHING, "missing", ["add: _sips._tcp.a.test. 3600 IN SRV 1 1 5061 a.test."]),
        (
            ADDRESS,
            DnsAnswer(["192.0.2.9"]),
            "wrong",
            ["add: a.test. 3600 IN A 192.0.2.1", "remove: a.test. IN A 192.0.2.9"],
        ),
        (ADDRESS, DnsAnswer(["192.0.2.1", "192.0.2.9"]), "wrong", ["remove: a.test. IN A 192.0.2.9"]),
        (ANY, DnsAnswer(["192.0.2.9"]), "good", []),
        (THEIRS, DnsAnswer(["5 5 5061 x.p.test."]), "good", []),
    ],
)
def test_difference_comes_with_its_remedy(record: DnsRecord, answer: DnsAnswer, state: str, mend: list[str]) -> None:
    assert found(record, answer) == [(record.type, state, mend)]


@pytest.mark.parametrize("record", [ADDRESS, ANY, SRV, THEIRS])
def test_bogus_answer_is_never_good(record: DnsRecord) -> None:
    bogus = DnsAnswer([record.data or "192.0.2.9"], Dnssec.BOGUS)
    [(_, state, [mend])] = found(record, bogus)
    assert (state, "DS record" in mend) == ("bogus", True)


@pytest.mark.parametrize("record", [ADDRESS, ANY, SRV, THEIRS])
def test_unanswered_question_is_not_a_missing_record(record: DnsRecord) -> None:
    [(_, state, [mend])] = found(record, DnsAnswer(fault="192.0.2.53 port 53 does not answer"))[:1]
    assert (state, "does not answer" in mend) == ("unanswered", True)


def test_address_that_is_not_in_the_topology_is_stale_in_the_other_family() -> None:
    """Connections would go there too."""
    assert found(ADDRESS, DnsAnswer(["192.0.2.1"]), DnsAnswer(["2001:db8::9"])) == [
        ("A", "good", []),
        ("AAAA", "wrong", ["remove: a.test. IN AAAA 2001:db8::9"]),
    ]


def test_any_address_may_be_of_either_family() -> None:
    assert found(ANY, NOTHING, DnsAnswer(["2001:db8::9"])) == [("A", "good", [])]
    [(_, state, [mend])] = found(ANY, NOTHING)
    assert (state, "`address`" in mend) == ("missing", True)
    [(_, bogus, _)] = found(ANY, DnsAnswer(["192.0.2.9"]), DnsAnswer([], Dnssec.BOGUS))
    assert bogus == "bogus"


def test_partner_without_a_record_is_asked_to_add_it() -> None:
    [(_, state, [mend])] = found(THEIRS, NOTHING)
    assert (state, "sipmesh partner change" in mend) == ("missing", True)


def test_tlsa_record_counts_only_if_dnssec_proves_it() -> None:
    record = DnsRecord("_5061._tcp.a.test", "TLSA", "2 1 1 AB", FOR)
    assert found(record, DnsAnswer(["2 1 1 ab"], Dnssec.SECURE)) == [("TLSA", "good", [])]
    [(_, state, mend)] = found(record, DnsAnswer(["2 1 1 ab"], Dnssec.INSECURE))
    assert state == "unsigned"
    assert mend[0].startswith("sign the zone of _5061._tcp.a.test.")
    assert found(record, DnsAnswer(["2 1 1 ac"], Dnssec.SECURE))[0][1] == "wrong"


def test_caa_record_of_another_account_is_found_though_it_differs_in_case_alone() -> None:
    ours = '0 issue "ca.test; accounturi=https://ca.test/acct/Ab"'
    record = DnsRecord("a.test", "CAA", ours, FOR)
    assert found(record, DnsAnswer([ours], Dnssec.SECURE)) == [("CAA", "good", [])]
    [(kind, state, mend)] = found(record, DnsAnswer([ours, ours.lower()], Dnssec.SECURE))
    assert (kind, state) == ("CAA", "wrong")
    assert mend == [f"remove: a.test. IN CAA {ours.lower()}"]


def test_caa_record_of_a_host_counts_in_place_of_that_of_its_domain() -> None:
    """RFC 8659 3. A host of a partner is not asked."""
    ours = '0 issue "ca.test; accounturi=https://ca.test/acct/1"'
    records = [
        DnsRecord("a.test", "CAA", ours, FOR),
        replace(ADDRESS, name="fe1.a.test"),
        replace(ANY, name="sip.b.test"),
    ]
    assert [key for key in questions(records) if key[1] == "CAA"] == [("a.test", "CAA"), ("fe1.a.test", "CAA")]
    for data, mend in (
        ([], None),
        ([ours], []),
        (
            ['0 issue "ca.test"'],
            [f"add: fe1.a.test. 3600 IN CAA {ours}", 'remove: fe1.a.test. IN CAA 0 issue "ca.test"'],
        ),
    ):
        found = {(one.name, one.type): one for one in compare(records, {("fe1.a.test", "CAA"): DnsAnswer(data)})}
        assert (list(found["fe1.a.test", "CAA"].mend) if found else None) == mend
