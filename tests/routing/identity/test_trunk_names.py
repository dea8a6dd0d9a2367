"""The names of callers and callees on both sides of a gateway."""

from __future__ import annotations

import pytest

from routing.messages import ALICE, TOKENS, request
from sipmesh.routing.identity.trunk_names import TrunkNames, asserted_number, number_beside, refused_onward
from sipmesh.routing.numbers.dial_plan import DialPlan, NumberClass
from sipmesh.routing.numbers.trunk_table import TrunkRoute, TrunkTable
from sipmesh.routing.outcome import Answer
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import respond

GATEWAYS, PROVIDER = "gw.example.test", "sbc.provider.test"
CALLER, NUMBER = "+491705550100", "+493012345"
NAMES = TrunkNames(
    GATEWAYS,
    "example.test",
    frozenset({"example.test"}),
    TrunkTable((TrunkRoute(PROVIDER, GATEWAYS, ("+49",), ("+",)),)),
)
HIDDEN = "sip:anonymous@anonymous.invalid"
PAI, ID = "p-asserted-identity", ("privacy", "id")


@pytest.mark.parametrize(
    ("sender", "headers", "identity", "shown"),
    [
        (f"sip:{CALLER}@192.0.2.1", (), f"sip:{CALLER}@{PROVIDER}", f"sip:{CALLER}@{PROVIDER}"),
        (f"tel:{CALLER}", (), f"sip:{CALLER}@{PROVIDER}", f"sip:{CALLER}@{PROVIDER}"),
        (f"sip:{CALLER};cpc=payphone@a.test", (), f"sip:{CALLER}@{PROVIDER}", f"sip:{CALLER}@{PROVIDER}"),
        (HIDDEN, ((PAI, f"<tel:{CALLER}>"), ID), f"sip:{CALLER}@{PROVIDER}", HIDDEN),
        (f"sip:{CALLER}@a.test", (ID,), f"sip:{CALLER}@{PROVIDER}", HIDDEN),
        (HIDDEN, (), f"sip:{PROVIDER}", HIDDEN),
        ("sip:anonymous@192.0.2.1", (), f"sip:{PROVIDER}", HIDDEN),
    ],
)
def test_caller_is_the_number_of_the_trunk(
    sender: str, headers: tuple[tuple[str, str], ...], identity: str, shown: str
) -> None:
    asked = request("INVITE", f"sip:{NUMBER}@{GATEWAYS}", *headers, sender=sender)
    assert NAMES.enter(asked, PROVIDER) == identity
    assert (asked.from_.uri, asked.from_.tag) == (shown, "1")
    assert not asked.values(PAI)


@pytest.mark.parametrize("name", ["diversion", "history-info", "referred-by"])
@pytest.mark.parametrize(("number", "stays"), [("+491705550199", True), ("+43123456789", False)])
def test_trunk_names_who_has_forwarded_by_its_own_numbers_alone(name: str, number: str, *, stays: bool) -> None:
    asked = request("INVITE", f"sip:{NUMBER}@{GATEWAYS}", (name, f"<sip:{number}@{PROVIDER}>"), sender=f"tel:{CALLER}")
    NAMES.enter(asked, PROVIDER)
    assert asked.has(name) is stays


@pytest.mark.parametrize("name", ["diversion", "history-info", "referred-by"])
@pytest.mark.parametrize(
    ("by", "shown"), [(f"sip:{NUMBER}@example.test", [f"<sip:{NUMBER}@{GATEWAYS};user=phone>;index=1"]), (ALICE, [])]
)
def test_trunk_gets_the_number_of_who_has_forwarded_and_no_name(name: str, by: str, shown: list[str]) -> None:
    leaving = request("INVITE", f"sip:{CALLER}@example.test", (name, f"<{by}>;index=1"), sender=ALICE)
    NAMES.leave(leaving, NUMBER, PROVIDER)
    assert leaving.items(name) == shown


@pytest.mark.parametrize(
    ("sender", "headers"),
    [
        (ALICE, ()),
        ("sip:+43123456789@a.test", ()),
        (f"sip:{CALLER}@a.test", ((PAI, "<tel:+43123456789>"),)),
        (f"sip:{CALLER}@a.test", ((PAI, f"<{ALICE}>"),)),
        (f"sip:{CALLER}@a.test", ((PAI, f"<tel:{CALLER}>, <tel:{NUMBER}>"),)),
        ("mailto:x@a.test", ()),
    ],
)
def test_other_callers_are_refused(sender: str, headers: tuple[tuple[str, str], ...]) -> None:
    asked = request("INVITE", f"sip:{NUMBER}@{GATEWAYS}", *headers, sender=sender)
    assert isinstance(NAMES.enter(asked, PROVIDER), Answer)


@pytest.mark.parametrize(("shown", "named"), [(CALLER, f"sip:{CALLER}@{PROVIDER}"), ("+43123456789", HIDDEN)])
def test_sender_inside_a_dialog_is_a_number_that_the_trunk_may_assert(shown: str, named: str) -> None:
    asked = request("UPDATE", ALICE, sender=f"sip:{shown}@{PROVIDER}", to_tag="2")
    NAMES.enter_dialog(asked, PROVIDER, hidden=False)
    assert asked.from_.uri == named


@pytest.mark.parametrize(
    ("to", "may"),
    [
        ("<tel:+493012345>", True),
        (ALICE, True),
        ("<tel:+49900123456>", False),
        ("<sip:900123456@a.test>", False),
        ("<sip:%20+49900123456@a.test>", False),
        ("<sip:a.test>", False),
        ("<mailto:x@a.test>", False),
        ("*", False),
    ],
)
def test_trunk_calls_for_a_user_what_everyone_may_call(to: str, *, may: bool) -> None:
    classes = NumberClass("premium", ("+49900",), everyone=False, users=frozenset({ALICE}))
    assert (refused_onward(NameAddr.parse(to), DialPlan("49", classes=(classes,))) == "") is may
    assert refused_onward(NameAddr.parse(to), DialPlan("49")) == ""


def test_responses_repeat_the_names_that_the_request_came_with() -> None:
    asked = request(
        "INVITE", f"sip:{NUMBER}@{GATEWAYS}", sender=f"sip:{CALLER}@192.0.2.1", to=f"sip:{NUMBER}@{GATEWAYS}"
    )
    NAMES.enter(asked, PROVIDER)
    NAMES.name_callee(asked, NUMBER)
    assert (asked.uri, asked.to.uri) == (f"sip:{NUMBER}@example.test",) * 2
    answer = respond(asked, 180, to_tag="2")
    assert (answer.from_.uri, answer.to.uri) == (f"sip:{CALLER}@192.0.2.1", f"sip:{NUMBER}@{GATEWAYS}")
    assert (answer.from_.tag, answer.to.tag) == ("1", "2")


@pytest.mark.parametrize(
    ("headers", "number", "shown", "asserted", "privacy"),
    [
        ((), NUMBER, f"sip:{NUMBER}@{GATEWAYS};user=phone", [f"<sip:{NUMBER}@{GATEWAYS};user=phone>"], []),
        ((ID,), NUMBER, HIDDEN, [f"<sip:{NUMBER}@{GATEWAYS};user=phone>"], ["id"]),
        ((), "", HIDDEN, [], ["id"]),
    ],
)
def test_user_leaves_as_its_number(
    headers: tuple[tuple[str, str], ...], number: str, shown: str, asserted: list[str], privacy: list[str]
) -> None:
    copy = request("INVITE", f"sip:{CALLER}@example.test", *headers, to=f"tel:{CALLER}")
    NAMES.leave(copy, number, PROVIDER)
    assert copy.from_.uri == shown
    assert copy.uri == copy.to.uri == f"sip:{CALLER}@{PROVIDER};user=phone"
    assert (copy.values(PAI), copy.values("privacy")) == (asserted, privacy)


def test_name_of_a_trunk_stays_inside_a_call() -> None:
    copy = request("BYE", "sip:x@192.0.2.9", to=f"sip:{CALLER}@{PROVIDER}", to_tag="2")
    NAMES.leave(copy, NUMBER, PROVIDER)
    assert (copy.uri, copy.to.uri, copy.to.tag) == ("sip:x@192.0.2.9", f"sip:{CALLER}@{PROVIDER}", "2")


def test_contact_leads_back_for_the_peer_that_got_it_alone() -> None:
    asked = request("INVITE", f"sip:{CALLER}@example.test", ("contact", "<sip:alice@192.0.2.7:5061>"))
    NAMES.hide_contact(asked, PROVIDER, TOKENS, f"{GATEWAYS}:5061")
    uri = asked.contacts[0].uri
    assert "alice" not in uri
    for peer, found in (("other.test", uri), (PROVIDER, "sip:alice@192.0.2.7:5061")):
        bye = request("BYE", uri)
        NAMES.open_contact(bye, peer, TOKENS)
        assert bye.uri == found


def test_message_without_a_contact_gets_none() -> None:
    for headers in ((), (("contact", "*"),)):
        asked = request("INVITE", ALICE, *headers)
        before = asked.values("contact")
        NAMES.hide_contact(asked, PROVIDER, TOKENS, GATEWAYS)
        assert asked.values("contact") == before


def test_number_beside_an_identity_is_the_tel_uri() -> None:
    both = request("INVITE", ALICE, (PAI, f"<{ALICE}>, <tel:{NUMBER}>"))
    assert number_beside(both) == NUMBER
    assert asserted_number(both) == ""
    assert number_beside(request("INVITE", ALICE)) == ""
    assert asserted_number(request("INVITE", ALICE)) is None
