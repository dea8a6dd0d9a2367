"""Which names are global numbers, for who calls and for whom is called."""

from __future__ import annotations

import pytest

from sipmesh.routing.numbers.e164 import caller_number, dialled_number, is_global
from sipmesh.sip.message import build_request

NUMBER = "+493012345"


@pytest.mark.parametrize("uri", [f"sip:{NUMBER}@a.test", "tel:+49(30)12-345", "sip:%2B493012345@a.test;user=phone"])
def test_number_is_read_in_each_spelling(uri: str) -> None:
    ruri = build_request("INVITE", uri, ()).ruri
    assert dialled_number(ruri) == caller_number(ruri) == NUMBER


@pytest.mark.parametrize("uri", [f"tel:{NUMBER};isub=1", f"tel:{NUMBER};ext=7", f"sip:{NUMBER};cpc=payphone@a.test"])
def test_parameters_of_a_caller_are_left_out_and_a_call_with_some_is_none(uri: str) -> None:
    ruri = build_request("INVITE", uri, ()).ruri
    assert (caller_number(ruri), dialled_number(ruri)) == (NUMBER, "")


@pytest.mark.parametrize(
    "uri",
    [
        "sip:alice@a.test",
        "sip:a.test",
        "sip:112@a.test",
        "sip:+49112@a.test",
        "sip:+0493012345@a.test",
        "sip:+1234567890123456@a.test",
        f"sip:+{'1' * 10_000}@a.test",
        "sip:+4930123a5@a.test",
        "tel:3012345;phone-context=+49",
    ],
)
def test_other_names_are_no_number(uri: str) -> None:
    ruri = build_request("INVITE", uri, ()).ruri
    assert (caller_number(ruri), dialled_number(ruri)) == ("", "")


def test_number_has_7_to_15_digits() -> None:
    assert [is_global("+" + "1" * digits) for digits in (6, 7, 15, 16)] == [False, True, True, False]
