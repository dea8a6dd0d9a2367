"""What is dialled, and who may call it."""

from __future__ import annotations

import sys

import pytest

from sipmesh.routing.numbers.dial_plan import DialPlan, ExtensionRange, NumberClass, local_digits
from sipmesh.sip.message import build_request
from sipmesh.sip.uri import SipUri
from sipmesh.topology.document.parts.number_kind import NumberKind

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
PLAN = DialPlan(
    country="49",
    emergency=frozenset({"112", "110"}),
    classes=(
        NumberClass("foreign", ("+",), everyone=False, users=frozenset({ALICE})),
        NumberClass("home", ("+49",), everyone=True, users=frozenset()),
        NumberClass("premium", ("+49900", "+881"), everyone=False, users=frozenset()),
    ),
)


def uri(text: str) -> SipUri:
    return build_request("INVITE", text if ":" in text else f"sip:{text}@example.test", ()).ruri


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("+493012345", "+493012345"),
        ("tel:+49-30-12345", "+493012345"),
        ("03012345", "+493012345"),
        ("030-12345", "+493012345"),
        ("%303012345", "+493012345"),
        ("tel:03012345;phone-context=example.test", "+493012345"),
        ("004312345678", "+4312345678"),
        ("42", ""),
        ("3012345", ""),
        ("0", ""),
        ("00", ""),
        ("000123456789", ""),
        ("0112", ""),
        ("112", ""),
        ("alice", ""),
        ("0301234a5", ""),
        ("*21*0301234567%23", ""),
        ("03012345;isub=1", ""),
        ("0" * 10_000, ""),
    ],
)
def test_typed_text_is_a_whole_number_or_none(typed: str, number: str) -> None:
    assert PLAN.whole_number(uri(typed)) == number


def test_plan_without_a_country_completes_no_national_number() -> None:
    assert DialPlan().whole_number(uri("03012345")) == ""
    assert DialPlan().whole_number(uri("00493012345")) == "+493012345"


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("112", "112"),
        ("tel:112;phone-context=+49", "112"),
        ("1-1-2", "112"),
        ("+112", ""),
        ("1122", ""),
        ("112;isub=1", ""),
    ],
)
def test_emergency_number_is_known_in_each_spelling(typed: str, number: str) -> None:
    assert PLAN.emergency_number(uri(typed)) == number


@pytest.mark.parametrize(
    ("number", "user", "may"),
    [
        ("+493012345", BOB, True),
        ("+49900123456", ALICE, False),
        ("+4312345678", ALICE, True),
        ("+4312345678", BOB, False),
        ("+4312345678", None, False),
        ("+88112345678", ALICE, False),
    ],
)
def test_longest_match_of_a_class_says_who_may_call(number: str, user: str | None, *, may: bool) -> None:
    assert (PLAN.refusal(number, user) == "") is may


def test_number_without_a_class_may_be_called_by_all() -> None:
    assert DialPlan().class_of("+4312345678") is None
    assert DialPlan().refusal("+4312345678", BOB) == ""


@pytest.mark.parametrize("text", ["sip:example.test", f"sip:{'1' * 200}@example.test", "sip:1a@example.test"])
def test_other_names_have_no_digits(text: str) -> None:
    assert local_digits(uri(text)) == ""


@pytest.mark.parametrize(
    ("plan", "typed", "number"),
    [
        (DialPlan("49"), "+49(0)900123456", ""),
        (DialPlan("49"), "00490900123456", ""),
        (DialPlan("36", "06"), "+3606301234567", ""),
        (DialPlan("36", "06"), "+36301234567", "+36301234567"),
        (DialPlan("7", "8", "810"), "+78121234567", "+78121234567"),
        (DialPlan("49"), "+390612345678", "+390612345678"),
        (DialPlan(), "+490900123456", "+490900123456"),
    ],
)
def test_number_has_no_national_prefix_behind_our_country(plan: DialPlan, typed: str, number: str) -> None:
    assert plan.whole_number(uri(typed)) == number


OFFICE = DialPlan(
    country="49",
    outside_line="0",
    extensions=(ExtensionRange("", 3, "+4930123"), ExtensionRange("8", 4, "+4989456")),
    emergency=frozenset({"112"}),
)


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("042", "+4930123042"),
        ("84321", "+49894564321"),
        ("0112", ""),
        ("00301234567", "+49301234567"),
        ("000431234567", "+431234567"),
        ("0301234567", ""),
        ("00431234567", "+49431234567"),
        ("+431234567", "+431234567"),
        ("8432", ""),
        ("0", ""),
    ],
)
def test_extensions_and_an_outside_line_leave_nothing_to_guess(typed: str, number: str) -> None:
    """With an outside line, a prefix counts behind it only: `0043…` is a national number there."""
    assert OFFICE.whole_number(uri(typed)) == number


@pytest.mark.parametrize(("typed", "number"), [("112", "112"), ("0112", "112"), ("00112", ""), ("11", "")])
def test_emergency_number_needs_no_outside_line_and_may_have_one(typed: str, number: str) -> None:
    assert OFFICE.emergency_number(uri(typed)) == number


@pytest.mark.parametrize(
    ("service", "number"),
    [
        ("sos", "112"),
        ("SOS.Police", "110"),
        ("sos.police.traffic", "110"),
        ("sos.fire", "112"),
        ("counseling", ""),
        ("sosx", ""),
    ],
)
def test_emergency_service_has_its_number_or_that_of_the_service_above_it(service: str, number: str) -> None:
    plan = DialPlan(emergency=frozenset({"112", "110"}), services={"sos": "112", "sos.police": "110"})
    assert plan.emergency_number(uri(f"urn:service:{service}")) == number
    assert DialPlan().emergency_number(uri(f"urn:service:{service}")) == ""


BY_COUNTRY = DialPlan(
    classes=(
        NumberClass("premium", (), everyone=False, users=frozenset({ALICE}), kinds=frozenset({NumberKind.PREMIUM})),
        NumberClass("america", ("+1",), everyone=True, users=frozenset()),
        NumberClass("caribbean", (), everyone=False, users=frozenset(), countries=frozenset({"JM", "DO"})),
        NumberClass("hotel", ("+1876555",), everyone=True, users=frozenset()),
        NumberClass("neighbours", (), everyone=True, users=frozenset(), countries=frozenset({"AT", "DE"})),
    ),
)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("+12025550123", "america"),
        ("+18769991234", "caribbean"),
        ("+18765551234", "hotel"),
        ("+19005551234", "premium"),
        ("+499001234567", "premium"),
        ("+49900123456789", "premium"),
        ("+4312345678", "neighbours"),
        ("+33123456789", None),
    ],
)
def test_country_counts_more_than_its_code_and_a_kind_more_than_all_digits(number: str, name: str | None) -> None:
    found = BY_COUNTRY.class_of(number)
    assert (found.name if found is not None else None) == name


@pytest.mark.parametrize(
    ("number", "may"),
    [
        ("+33123456789", True),
        ("+9991234567", False),
        ("+18769991234", False),
        ("+187699912340", False),
        ("+12025550123", True),
        ("+4312345678", True),
    ],
)
def test_number_whose_country_is_not_known_is_refused_where_countries_count(number: str, may: bool) -> None:  # noqa: FBT001
    """Nothing is guessed: it may be of a country that the user may not call."""
    assert (BY_COUNTRY.refusal(number, BOB) == "") is may


def test_plans_without_countries_or_kinds_load_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)  # its import would fail
    assert PLAN.refusal("+49900777777", BOB)
    assert not PLAN.refusal("+9991234567", ALICE)
