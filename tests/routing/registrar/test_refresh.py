"""A refresh that is known by its octets renews its row without a decision; anything else is decided."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sipmesh.routing.registrar.granted import GruuMint
from sipmesh.routing.registrar.gruu import Gruus
from sipmesh.routing.registrar.refresh import KnownRefresh, known_refresh
from sipmesh.routing.registrar.registrar import FlowFacts, RegistrarAnswer, RegistrarLimits, decide
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, build_request
from sipmesh.sip.rows import made_row
from sipmesh.sip.uri import SipUri

NOON = 1_000.0
ALICE = "sip:alice@example.test"
FLOW = FlowFacts("fe1.example.test", 7, 41, "token")
DATE = made_row("date", "Sat, 13 Nov 2010 23:29:00 GMT")
GRUUS = Gruus(b"key of the pool", "pool1.example.test")
INSTANCE = (("contact", '<sip:alice@192.0.2.1>;+sip.instance="<urn:uuid:a1>"'), ("supported", "gruu"))
USUAL = (("contact", "<sip:alice@192.0.2.1;transport=tls>"), ("expires", "120"), ("user-agent", "phone"))


def register(
    cseq: int, headers: Iterable[tuple[str, str]] = USUAL, call_id: str = "one", to: str = f"<{ALICE}>"
) -> Request:
    """A REGISTER of alice's phone."""
    return build_request(
        "REGISTER",
        "sip:example.test",
        [
            ("via", f"SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK{cseq}"),
            ("from", f"<{ALICE}>;tag=x"),
            ("to", to),
            ("call-id", call_id),
            ("cseq", f"{cseq} REGISTER"),
            *headers,
        ],
    )


def granted(request: Request, at: float = NOON) -> RegistrarAnswer:
    """The answer to the first REGISTER of a phone."""
    return decide(request, ALICE, (), FLOW, RegistrarLimits(), at=at)


@pytest.fixture(name="known")
def _known() -> KnownRefresh:
    first = register(1)
    known = known_refresh(first, granted(first), 256)
    assert known is not None
    return known


def test_repeated_register_renews_the_row_as_a_decision_would(known: KnownRefresh) -> None:
    again = register(2)
    assert known.is_repeated_by(again)
    answer = known.renew(again, NOON + 100, DATE)
    decided = granted(again, NOON + 100)
    assert [known.row] == list(decided.bindings)
    assert answer.status == decided.status == 200
    told = [(row.name, row.value) for row in answer.rows]
    assert all(header in told for header in decided.headers)
    assert answer.to.tag
    assert (answer.cseq.number, answer.first("date")) == (2, DATE.value)


def test_refresh_of_an_instance_has_a_new_temporary_gruu_and_the_same_public_one() -> None:
    """RFC 5627 section 3.1: two answers cannot be linked by their temporary GRUUs."""
    first = register(1, INSTANCE)
    granted_first = decide(first, ALICE, (), FLOW, RegistrarLimits(), at=NOON, mint=GruuMint(GRUUS, b"1" * 12))
    known = known_refresh(first, granted_first, 256)
    assert known is not None
    assert known.gives_gruu
    second = known.renew(register(2, INSTANCE), NOON + 1, DATE, GruuMint(GRUUS, b"2" * 12))
    [before], [after] = (
        [NameAddr.parse(value) for name, value in granted_first.headers if name == "contact"],
        second.contacts,
    )
    assert before.param("pub-gruu") == after.param("pub-gruu") == f"{ALICE};gr=urn:uuid:a1"
    assert before.param("temp-gruu") != after.param("temp-gruu")
    opened = [GRUUS.open(SipUri.parse(one.param("temp-gruu") or "")) for one in (before, after)]
    assert opened[0] == opened[1] is not None
    assert second.values("supported") == ["gruu, outbound, path"]


def test_new_call_id_of_an_instance_is_decided() -> None:
    """It ends the temporary GRUUs of the registration before."""
    first = register(1, INSTANCE)
    known = known_refresh(first, granted(first), 256)
    assert known is not None
    assert known.is_repeated_by(register(2, INSTANCE))
    assert not known.is_repeated_by(register(2, INSTANCE, call_id="two"))


def test_phone_that_has_been_started_again_has_a_new_call_id(known: KnownRefresh) -> None:
    assert known.is_repeated_by(register(1, call_id="two"))


@pytest.mark.parametrize(("length", "known_again"), [(256, True), (257, False)])
def test_call_id_that_the_registrar_would_refuse_is_not_kept(
    known: KnownRefresh, length: int, *, known_again: bool
) -> None:
    """A REGISTER that repeats another one by its octets passes no limit that a decision has."""
    again = register(2, call_id="c" * length)
    assert known.is_repeated_by(again) is known_again
    assert (granted(again).status == 200) is known_again


@pytest.mark.parametrize(
    "request_",
    [
        register(1),
        register(2, USUAL[1:]),
        register(2, (*USUAL, ("contact", "<sip:alice@192.0.2.2>"))),
        register(2, (("contact", "<sip:alice@192.0.2.2;transport=tls>"), *USUAL[1:])),
        register(2, (USUAL[0], ("expires", "0"), USUAL[2])),
        register(2, (*USUAL, ("require", "path"))),
        register(2, (*USUAL, ("supported", "outbound"))),
        register(2, to="<sip:bob@example.test>"),
    ],
    ids=["old-cseq", "query", "two", "contact", "expires", "require", "supported", "to"],
)
def test_register_that_asks_for_anything_else_is_decided(known: KnownRefresh, request_: Request) -> None:
    assert not known.is_repeated_by(request_)


@pytest.mark.parametrize(
    "headers", [(), (*USUAL, ("contact", "<sip:alice@192.0.2.2>")), (("contact", "*"), ("expires", "0"))]
)
def test_only_a_single_contact_is_remembered(headers: tuple[tuple[str, str], ...]) -> None:
    first = register(1, headers)
    assert known_refresh(first, granted(first), 256) is None


def test_contact_beside_those_of_other_devices_is_decided_each_time() -> None:
    """The answer lists them all, with the time that each has left."""
    first, other = register(1), register(1, (("contact", "<sip:alice@192.0.2.9>"),), call_id="other")
    answer = decide(first, ALICE, granted(other).bindings, FLOW, RegistrarLimits(), at=NOON)
    assert len(answer.bindings) == 2
    assert known_refresh(first, answer, 256) is None
