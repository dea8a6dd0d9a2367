"""RFC 3263 and RFC 2782 as questions and answers: no network in sight."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from sipmesh.errors import LocalError
from sipmesh.routing.proxy.locate import (
    FEDERATION,
    SIPS,
    SRV_MAX,
    DnsQuestion,
    Locate,
    Naptr,
    Record,
    RecordKind,
    Srv,
    UnlocatableError,
    is_ip,
)

A, AAAA, SRV, NAPTR, _TXT = RecordKind
Answers = dict[tuple[str, RecordKind], list[Record]]


def located(machine: Locate, answers: Answers) -> list[tuple[str, int]]:
    """Answer every question out of *answers*; what is not in the topology does not exist."""
    while questions := machine.questions():
        for question in questions:
            machine.answered(question, answers.get((question.name, question.kind), []))
    return machine.addresses()


def asked_for_srv(*, entropy: bytes = b"") -> Locate:
    """A search for a domain without NAPTR records."""
    machine = Locate("a.test", None, SIPS, entropy=entropy)
    machine.answered(DnsQuestion("a.test", NAPTR), [])
    assert machine.questions() == (DnsQuestion("_sips._tcp.a.test", SRV),)
    return machine


FOR_TLS = Naptr(20, 10, "s", "SIPS+D2T", "", "_sips._tcp.b.test")


@pytest.mark.parametrize(
    ("records", "srv"),
    [
        ([FOR_TLS], "_sips._tcp.b.test"),
        ([replace(FOR_TLS, flags="S", service="sips+d2t")], "_sips._tcp.b.test"),
        ([FOR_TLS, replace(FOR_TLS, order=10, replacement="_sips._tcp.c.test")], "_sips._tcp.c.test"),
        ([FOR_TLS, replace(FOR_TLS, preference=5, replacement="_sips._tcp.c.test")], "_sips._tcp.c.test"),
        ([replace(FOR_TLS, order=1, service="SIP+D2U"), FOR_TLS], "_sips._tcp.b.test"),
        ([replace(FOR_TLS, service="SIP+D2T")], "_sips._tcp.a.test"),
        ([replace(FOR_TLS, flags="u")], "_sips._tcp.a.test"),
        ([replace(FOR_TLS, regexp="!.*!sip:x@b.test!")], "_sips._tcp.a.test"),
        ([replace(FOR_TLS, replacement=".")], "_sips._tcp.a.test"),
        ([], "_sips._tcp.a.test"),
    ],
)
def test_naptr_records_for_tls_name_the_srv_records(records: list[Record], srv: str) -> None:
    """RFC 3263 4.1. Records for UDP and TCP without TLS are ignored (rule R1)."""
    machine = Locate("a.test", None, SIPS)
    machine.answered(machine.questions()[0], records)
    assert machine.questions() == (DnsQuestion(srv, SRV),)


def test_search_goes_on_by_srv_where_naptr_is_not_answered() -> None:
    machine = Locate("a.test", None, SIPS)
    machine.failed(machine.questions()[0], "NAPTR of a.test: SERVFAIL")
    assert machine.questions() == (DnsQuestion("_sips._tcp.a.test", SRV),)


def test_federation_asks_for_naptr_where_its_own_srv_is_missing() -> None:
    answers: Answers = {
        ("a.test", NAPTR): [FOR_TLS],
        ("_sips._tcp.b.test", SRV): [Srv(1, 0, 5071, "one.test")],
        ("one.test", A): ["192.0.2.1"],
    }
    assert located(Locate("a.test", None, FEDERATION), answers) == [("192.0.2.1", 5071)]
    with pytest.raises(UnlocatableError, match="there is no SRV record _sips"):
        located(Locate("a.test", None, FEDERATION), {("a.test", NAPTR): [FOR_TLS]})
    both = answers | {("_sipfederationtls._tcp.a.test", SRV): [Srv(1, 0, 5061, "one.test")]}
    assert located(Locate("a.test", None, FEDERATION), both) == [("192.0.2.1", 5061)]


@pytest.mark.parametrize(("name", "port"), [("192.0.2.7", 5061), ("2001:db8::7", 5061)])
def test_ip_address_needs_no_question(name: str, port: int) -> None:
    machine = Locate(name, None, SIPS)
    assert machine.questions() == ()
    assert machine.addresses() == [(name, port)]


def test_name_with_a_port_is_not_asked_for_srv() -> None:
    """RFC 3263 4.2: with an explicit port the client asks for A and AAAA of the name."""
    machine = Locate("fe1.test", 5071, SIPS)
    assert set(machine.questions()) == {DnsQuestion("fe1.test", A), DnsQuestion("fe1.test", AAAA)}
    assert located(machine, {("fe1.test", A): ["192.0.2.1"]}) == [("192.0.2.1", 5071)]


def test_srv_gives_targets_in_order_of_priority() -> None:
    answers: Answers = {
        ("_sips._tcp.a.test", SRV): [Srv(20, 0, 5061, "two.test"), Srv(10, 0, 5071, "one.test")],
        ("one.test", A): ["192.0.2.1"],
        ("two.test", A): ["192.0.2.2"],
    }
    assert located(Locate("a.test", None, SIPS), answers) == [("192.0.2.1", 5071), ("192.0.2.2", 5061)]


def test_ipv6_comes_before_ipv4_for_each_target() -> None:
    answers: Answers = {
        ("_sips._tcp.a.test", SRV): [Srv(1, 0, 5061, "one.test"), Srv(2, 0, 5061, "two.test")],
        ("one.test", A): ["192.0.2.1"],
        ("one.test", AAAA): ["2001:db8::1"],
        ("two.test", AAAA): ["2001:db8::2"],
    }
    hosts = [host for host, _ in located(Locate("a.test", None, SIPS), answers)]
    assert hosts == ["2001:db8::1", "192.0.2.1", "2001:db8::2"]


def test_client_service_without_srv_falls_back_on_the_name() -> None:
    assert located(Locate("a.test", None, SIPS), {("a.test", A): ["192.0.2.1"]}) == [("192.0.2.1", 5061)]


def test_partner_without_srv_has_no_fallback() -> None:
    with pytest.raises(UnlocatableError, match=r"there is no SRV record _sipfederationtls\._tcp\.a\.test"):
        located(Locate("a.test", None, FEDERATION), {("a.test", A): ["192.0.2.1"]})


def test_dns_timeout_is_not_a_missing_srv() -> None:
    """There is no fallback after a timeout: an attacker who can drop packets would choose the server."""
    machine = asked_for_srv()
    machine.failed(machine.questions()[0], "SRV of a.test: timeout")
    assert machine.questions() == ()
    with pytest.raises(UnlocatableError, match="timeout"):
        machine.addresses()


def test_target_of_a_single_dot_says_that_there_is_no_service() -> None:
    with pytest.raises(UnlocatableError, match="not offered"):
        located(Locate("a.test", None, SIPS), {("_sips._tcp.a.test", SRV): [Srv(0, 0, 0, ".")]})


def test_one_target_without_address_does_not_hide_the_others() -> None:
    answers: Answers = {
        ("_sips._tcp.a.test", SRV): [Srv(1, 0, 5061, "gone.test"), Srv(2, 0, 5061, "two.test")],
        ("two.test", A): ["192.0.2.2"],
    }
    assert located(Locate("a.test", None, SIPS), answers) == [("192.0.2.2", 5061)]


@pytest.mark.parametrize(("count", "asked"), [(SRV_MAX, SRV_MAX), (SRV_MAX + 1, SRV_MAX)])
def test_number_of_targets_is_bounded(count: int, asked: int) -> None:
    machine = asked_for_srv()
    machine.answered(machine.questions()[0], [Srv(1, 0, 5061, f"t{at}.test") for at in range(count)])
    assert len(machine.questions()) == 2 * asked


def test_weights_share_the_first_place_in_proportion() -> None:
    """RFC 2782: 1, 2 and 1 of 4; zero gets almost nothing. Drawn from 2,000 fixed entropies, so always the same."""
    records: list[Record] = [Srv(0, weight, 5061, f"w{weight}{at}.test") for at, weight in enumerate([10, 20, 10, 0])]
    answers: Answers = {(record.target, A): ["192.0.2.1"] for record in records if isinstance(record, Srv)}
    first: Counter[str] = Counter()
    for seed in range(2000):
        machine = asked_for_srv(entropy=seed.to_bytes(4))
        machine.answered(machine.questions()[0], records)
        first[machine.questions()[0].name] += 1
    assert located(machine, answers) == [("192.0.2.1", 5061)]
    shares = [first[name] / 2000 for name in ("w100.test", "w201.test", "w102.test", "w03.test")]
    assert shares == pytest.approx([0.25, 0.5, 0.25, 0.02], abs=0.04)


def test_same_entropy_gives_the_same_order() -> None:
    records = [Srv(0, 1, 5061, f"t{at}.test") for at in range(8)]
    orders = []
    for _ in range(2):
        machine = Locate("a.test", None, SIPS, entropy=b"same")
        machine.answered(machine.questions()[0], records)
        orders.append(machine.questions())
    assert orders[0] == orders[1]


def test_invalid_address_in_an_answer_is_dropped() -> None:
    with pytest.raises(UnlocatableError):
        located(Locate("a.test", 5061, None), {("a.test", A): ["not an address"]})


def test_wrong_order_of_calls_is_a_local_error() -> None:
    machine = Locate("a.test", 5061, None)
    with pytest.raises(LocalError, match="too early"):
        machine.addresses()
    with pytest.raises(LocalError, match="not open"):
        machine.answered(DnsQuestion("b.test", A), [])


def test_brackets_are_not_part_of_an_address() -> None:
    assert [is_ip(text) for text in ("::1", "127.0.0.1", "[::1]", "a.test")] == [True, True, False, False]
