from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.cli.versions import built
from sipmesh.errors import RemoteError
from sipmesh.routing.registrar.registrar import (
    Binding,
    Changes,
    FlowFacts,
    RegistrarAnswer,
    RegistrarLimits,
    decide,
    is_refresh,
)
from sipmesh.sip.message import Request, build_request
from sipmesh.sip.uri import SipUri

NOON = 1_700_000_000.0
LIMITS = RegistrarLimits()
ALICE = "sip:alice@example.test"
HERE = FlowFacts("fe1.example.test", 7, 41, "token")
ELSEWHERE = FlowFacts("fe2.example.test", 3, 5, "other")
BARESIP = '<sip:alice-0x55@127.0.0.1:44783;transport=tls>;expires=600;+sip.instance="<urn:uuid:A1>"'
PJSUA = '<sip:alice@127.0.0.1:50983;transport=TLS;ob>;reg-id=1;+sip.instance="<urn:uuid:b2>"'
SIPJS = "<sip:mjd1gj4a@d2rehr19i7jf.invalid;transport=ws>;expires=300"


def register(*contacts: str, cseq: int = 1, call_id: str = "one", to: str = f"<{ALICE}>", **headers: str) -> Request:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    fixed = [
        ("via", "SIP/2.0/TLS 127.0.0.1:44783;branch=z9hG4bK1"),
        ("from", f"{to};tag=1"),
        ("to", to),
        ("call-id", call_id),
        ("cseq", f"{cseq} REGISTER"),
    ]
    return build_request("REGISTER", "sip:example.test", [*fixed, *[("contact", value) for value in contacts], *named])


def answer(
    request: Request,
    *held: Binding,
    flow: FlowFacts = HERE,
    limits: RegistrarLimits = LIMITS,
    late: float = 0,
) -> RegistrarAnswer:
    return decide(request, ALICE, held, flow, limits, at=NOON + late)


def contacts(answered: RegistrarAnswer) -> list[str]:
    return [value for name, value in answered.headers if name == "contact"]


def test_a_phone_is_bound_to_the_flow_it_registered_on() -> None:
    answered = answer(register(BARESIP, user_agent="baresip"))
    [row] = answered.changes.put
    assert (answered.status, row.aor, row.contact) == (200, ALICE, "sip:alice-0x55@127.0.0.1:44783;transport=tls")
    assert (row.server, row.incarnation, row.flow, row.token) == ("fe1.example.test", 7, 41, "token")
    assert (row.expires_at, row.user_agent) == (NOON + 600, "baresip")


def test_the_200_lists_each_contact_with_the_seconds_it_has_left() -> None:
    first = answer(register(BARESIP)).changes.put
    answered = answer(register(SIPJS, call_id="two"), *first, late=100.5)
    assert contacts(answered) == [
        "<sip:mjd1gj4a@d2rehr19i7jf.invalid;transport=ws>;expires=300",
        '<sip:alice-0x55@127.0.0.1:44783;transport=tls>;+sip.instance="<urn:uuid:A1>";expires=500',
    ]


def test_a_query_changes_nothing_and_lists_what_is_there() -> None:
    held = answer(register(BARESIP)).changes.put
    answered = answer(register(), *held)
    assert (answered.status, answered.changes, answered.bindings) == (200, Changes(), held)


@pytest.mark.parametrize(
    ("instance", "rows"), [("<urn:uuid:A1>", 1), ("<urn:uuid:a1>", 1), ("<urn:uuid:A2>", 2)], ids=str
)
def test_the_same_instance_elsewhere_replaces_the_old_row(instance: str, rows: int) -> None:
    """After a restart the phone has another port and another server, but it is the same phone."""
    held = answer(register(BARESIP)).changes.put
    again = f'<sip:alice@127.0.0.1:9;transport=tls>;+sip.instance="{instance}"'
    answered = answer(register(again, call_id="two"), *held, flow=ELSEWHERE)
    assert len(answered.bindings) == rows
    assert answered.bindings[0].server == "fe2.example.test"


@pytest.mark.parametrize(("reg_id", "rows"), [("1", 1), ("2", 2)])
def test_each_reg_id_of_an_instance_is_a_flow_of_its_own(reg_id: str, rows: int) -> None:
    held = answer(register(PJSUA)).changes.put
    answered = answer(register(PJSUA.replace("reg-id=1", f"reg-id={reg_id}"), cseq=2), *held)
    assert len(answered.bindings) == rows


def test_without_an_instance_an_equivalent_contact_is_the_same_one() -> None:
    held = answer(register("<sip:alice@phone.invalid;transport=tls>")).changes.put
    answered = answer(register("<sip:%61lice@PHONE.invalid;transport=TLS>", cseq=2), *held)
    assert [row.contact for row in answered.bindings] == ["sip:%61lice@PHONE.invalid;transport=TLS"]
    assert answered.changes.drop == (held[0].key,)


def test_sip_and_sips_contacts_without_an_instance_are_two() -> None:
    """RFC 3261 19.1.4: "A SIP and SIPS URI are never equivalent"."""
    held = answer(register("<sip:alice@phone.invalid>")).changes.put
    assert len(answer(register("<sips:alice@phone.invalid>", cseq=2), *held).bindings) == 2


@pytest.mark.parametrize("to", [ALICE, "sips:alice@example.test", "sip:Alice@example.test", "sip:info@example.test"])
def test_registration_is_that_of_the_proved_user_with_any_of_its_names_in_to(to: str) -> None:
    """The role has found whose name it is: `tests/routing/roles/test_front_end.py`."""
    answered = answer(register(BARESIP, to=f"<{to}>"))
    assert answered.status == 200
    assert [row.aor for row in answered.changes.put] == [ALICE]


@pytest.mark.parametrize(
    ("contact", "header", "seconds"),
    [
        ("<sip:a@b>;expires=300", "400", 300),
        ("<sip:a@b>", "400", 400),
        ("<sip:a@b>", None, 600),
        ("<sip:a@b>;expires=3601", None, 3600),
        ("<sip:a@b>;expires=99999999999999999999", None, 3600),
        ("<sip:a@b>;expires=soon", None, 3600),
        ("<sip:a@b>;expires=60", None, 60),
    ],
)
def test_expires_comes_from_the_contact_then_the_header_then_our_default(
    contact: str, header: str | None, seconds: int
) -> None:
    asked = register(contact) if header is None else register(contact, expires=header)
    assert answer(asked).bindings[0].expires_at == NOON + seconds


@pytest.mark.parametrize(("seconds", "status"), [(60, 200), (59, 423), (1, 423), (0, 200)])
def test_too_brief_interval_is_refused_with_the_minimum(seconds: int, status: int) -> None:
    answered = answer(register(f"<sip:a@b>;expires={seconds}"))
    assert answered.status == status
    assert (("min-expires", "60") in answered.headers) is (status == 423)


def test_an_hour_is_never_too_brief() -> None:
    """RFC 3261 10.3 step 7 allows a 423 below an hour only, for any configured minimum."""
    limits = RegistrarLimits(min_expires_s=7200, max_expires_s=86400)
    assert answer(register("<sip:a@b>;expires=3600"), limits=limits).status == 200
    assert answer(register("<sip:a@b>;expires=3599"), limits=limits).status == 423


def test_expires_0_removes_that_contact_and_no_other() -> None:
    held = (*answer(register(BARESIP)).changes.put, *answer(register(SIPJS)).changes.put)
    answered = answer(register(BARESIP.replace("600", "0"), cseq=2), *held)
    assert answered.changes == Changes(drop=(held[0].key,))
    assert answered.bindings == (held[1],)


def test_a_star_with_expires_0_removes_them_all() -> None:
    held = (*answer(register(BARESIP)).changes.put, *answer(register(SIPJS)).changes.put)
    answered = answer(register("*", expires="0", cseq=2), *held)
    assert answered.changes.drop == tuple(row.key for row in held)
    assert (answered.status, answered.bindings) == (200, ())


@pytest.mark.parametrize("request_", [register("*"), register("*", expires="1"), register("*", SIPJS, expires="0")])
def test_a_star_that_is_not_alone_or_not_with_expires_0_is_invalid(request_: Request) -> None:
    assert answer(request_).status == 400


@pytest.mark.parametrize("contact", [BARESIP, BARESIP.replace("600", "0"), "*"])
@pytest.mark.parametrize(
    ("cseq", "call_id", "status"), [(6, "one", 200), (5, "one", 500), (4, "one", 500), (1, "x", 200)]
)
def test_under_one_call_id_the_cseq_has_to_rise(contact: str, cseq: int, call_id: str, status: int) -> None:
    held = answer(register(BARESIP, cseq=5)).changes.put
    asked = register(contact, cseq=cseq, call_id=call_id)
    if contact == "*":
        asked.append("expires", "0")
    answered = answer(asked, *held)
    assert answered.status == status
    assert bool(answered.changes) is (status == 200)


def test_one_contact_out_of_order_fails_the_others_too() -> None:
    held = answer(register(BARESIP, cseq=5)).changes.put
    assert answer(register(SIPJS, BARESIP, cseq=5), *held).changes == Changes()


@pytest.mark.parametrize(("more", "status"), [("<sip:x@y>;expires=0", 200), ("<sip:x@y>", 400)])
def test_a_reg_id_comes_with_no_second_contact_to_add(more: str, status: int) -> None:
    assert answer(register(PJSUA, more)).status == status


def test_a_reg_id_without_an_instance_is_ignored() -> None:
    [row] = answer(register("<sip:a@b>;reg-id=1")).bindings
    assert row.reg_id is None


@pytest.mark.parametrize("bad", ["reg-id=0", "reg-id=x", "reg-id=2147483648", "q=1.1", "q=0.1234", "q=x", "q=.5"])
def test_a_parameter_that_breaks_the_grammar_is_a_400(bad: str) -> None:
    with pytest.raises(RemoteError) as caught:
        answer(register(f'<sip:a@b>;+sip.instance="<urn:uuid:1>";{bad}'))
    assert caught.value.status == 400


@pytest.mark.parametrize("good", ["reg-id=1", "reg-id=2147483647", "q=1", "q=1.000", "q=0.123", "q=0."])
def test_same_contact_with_a_valid_parameter_is_accepted(good: str) -> None:
    assert answer(register(f'<sip:a@b>;+sip.instance="<urn:uuid:1>";{good}')).status == 200


def test_q_is_stored_and_returned() -> None:
    answered = answer(register("<sip:a@b>;q=0.5"))
    assert answered.bindings[0].q == 0.5
    assert contacts(answered) == ["<sip:a@b>;q=0.5;expires=600"]


@pytest.mark.parametrize("uri", ["mailto:alice@example.test", "tel:+15551234", "sip:"])
def test_a_contact_that_is_no_sip_uri_is_a_400(uri: str) -> None:
    with pytest.raises(RemoteError) as caught:
        answer(register(f"<{uri}>"))
    assert caught.value.status == 400


@pytest.mark.parametrize(("tag", "status"), [("outbound, path, gruu", 200), ("path, 100rel", 420)])
def test_unsupported_extension_is_named(tag: str, status: int) -> None:
    answered = answer(register(PJSUA, require=tag))
    assert answered.status == status
    assert (("unsupported", "100rel") in answered.headers) is (status == 420)


@pytest.mark.parametrize(
    ("contact", "supported", "status"), [(PJSUA, "outbound", 439), (PJSUA, "path", 200), (BARESIP, "outbound", 200)]
)
def test_flow_is_that_of_the_first_hop(contact: str, supported: str, status: int) -> None:
    """RFC 5626 section 6: behind a proxy, an instance with a reg-id would be registered on the link of the proxy."""
    behind = register(contact, supported=supported)
    behind.prepend("via", "SIP/2.0/TLS proxy.invalid;branch=z9hG4bK2")
    assert answer(behind).status == status
    assert answer(register(contact, supported=supported)).status == 200


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("sip:alice@example.test;gr=urn:uuid:1", 403),
        ("sip:tgruu.x@example.test;gr", 403),
        ("sip:alice@192.0.2.1;gr=urn:uuid:1", 200),
        ("sip:alice@example.test", 200),
    ],
)
def test_gruu_of_our_domain_is_no_contact(uri: str, status: int) -> None:
    """RFC 5627 section 5.1: it would lead to itself."""
    assert answer(register(f"<{uri}>")).status == status


@pytest.mark.parametrize(("contact", "is_refresh_"), [(BARESIP, False), (SIPJS, True)])
def test_new_call_id_of_an_instance_is_reported_to_the_pool(contact: str, *, is_refresh_: bool) -> None:
    """It ends the temporary GRUUs of the Call-ID before (RFC 5627 section 5.1)."""
    held = answer(register(contact)).changes.put
    assert is_refresh(answer(register(contact, cseq=2), *held).changes, held)
    assert is_refresh(answer(register(contact, call_id="two"), *held).changes, held) is is_refresh_


@pytest.mark.parametrize(("count", "status"), [(10, 200), (11, 403)])
def test_a_user_has_at_most_ten_contacts(count: int, status: int) -> None:
    asked = register(*[f"<sip:a{number}@b>" for number in range(count - 5)])
    held = [
        replace(row, contact=f"sip:held{n}@b") for n in range(5) for row in answer(register("<sip:a@b>")).changes.put
    ]
    assert answer(asked, *held).status == status


def test_refresh_at_the_limit_is_accepted() -> None:
    held = answer(register(*[f"<sip:a{number}@b>" for number in range(10)])).changes.put
    assert answer(register("<sip:a3@b>", cseq=2), *held).status == 200


@pytest.mark.parametrize(("length", "status"), [(1024, 200), (1025, 400)])
def test_contact_length_is_limited(length: int, status: int) -> None:
    uri = "sip:@b"
    uri = f"sip:{'a' * (length - len(uri))}@b"
    assert answer(register(f"<{uri}>")).status == status


def test_a_long_user_agent_is_cut() -> None:
    assert len(answer(register(SIPJS, user_agent="x" * 129)).bindings[0].user_agent) == 128


expires = st.sampled_from([0, 60, 600])
devices = st.sampled_from(["a", "b", "c"])


@given(st.lists(st.tuples(devices, expires), max_size=8))
def test_a_user_has_exactly_the_devices_that_registered_last_with_some_time(steps: list[tuple[str, int]]) -> None:
    """In any order, applying the changes gives what the 200 lists."""
    rows: dict[object, Binding] = {}
    model: set[str] = set()
    for cseq, (device, seconds) in enumerate(steps, 1):
        contact = f'<sip:{device}@{cseq}.invalid>;expires={seconds};+sip.instance="<urn:x:{device}>"'
        answered = answer(register(contact, cseq=cseq), *rows.values())
        for key in answered.changes.drop:
            del rows[key]
        rows |= {row.key: row for row in answered.changes.put}
        model = model | {device} if seconds else model - {device}
        assert {row.contact[4] for row in answered.bindings} == model == {row.contact[4] for row in rows.values()}


@pytest.mark.parametrize(("length", "status"), [(256, 200), (257, 400)])
def test_call_id_that_is_stored_is_bounded(length: int, status: int) -> None:
    """It is kept with each of ten contacts; a query or a removal stores nothing."""
    assert answer(register(BARESIP, call_id="c" * length)).status == status
    assert answer(register(call_id="c" * length)).status == 200


def removals(number: int) -> Request:
    """A REGISTER that removes *number* contacts that are not registered."""
    return register(*[f"<sip:gone{at}@10.0.0.1>;expires=0" for at in range(number)], call_id="two")


def test_twenty_contacts_in_a_request_pass_and_21_do_not() -> None:
    """Ten new contacts and ten to remove: a user can exchange all that it may have."""
    held = answer(register(*[f"<sip:old{at}@10.0.0.1>" for at in range(10)])).changes.put
    new = [f"<sip:new{at}@10.0.0.1>" for at in range(10)]
    old = [f"<sip:old{at}@10.0.0.1>;expires=0" for at in range(10)]
    exchanged = answer(register(*new, *old, call_id="two"), *held)
    assert (exchanged.status, len(exchanged.changes.put), len(exchanged.changes.drop)) == (200, 10, 10)
    assert answer(removals(20), *held).status == 200
    refused = answer(removals(21), *held)
    assert (refused.status, refused.changes) == (400, Changes())


@pytest.mark.skipif(built() == "compiled", reason="calls of compiled code are not seen, by design")
def test_held_contacts_are_read_once_for_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    held = answer(register(*[f"<sip:h{at}@10.0.0.1>" for at in range(10)])).changes.put
    read: list[str] = []
    parse = SipUri.parse

    def counted(text: str) -> SipUri:
        read.append(text)
        return parse(text)

    monkeypatch.setattr(SipUri, "parse", counted)
    assert answer(removals(20), *held).status == 200
    assert [sum(row.contact == text for text in read) for row in held] == [1] * 10


@pytest.mark.parametrize(("length", "status"), [(1024, 200), (1025, 400)])
def test_too_long_contact_cannot_be_removed(length: int, status: int) -> None:
    uri = "sip:" + "u" * (length - len("sip:@h")) + "@h"
    assert len(uri) == length
    assert answer(register(f"<{uri}>;expires=0")).status == status
