"""Whose call was forwarded: what a front end writes, and what a gateway reads."""

from __future__ import annotations

import pytest

from sipmesh.routing.identity.forwarded_caller import ForwardedCaller, forwarded_caller
from sipmesh.sip.message import Request, build_request

OURS = ("example.test",)
UNTOLD = ForwardedCaller("", "")


def diverted(*values: str) -> Request:
    headers = [
        ("to", "<sip:a@b>"),
        ("from", "<sip:a@b>;tag=1"),
        ("call-id", "1"),
        *(("diversion", one) for one in values),
    ]
    return build_request("INVITE", "sip:+4989123456@example.test", headers)


@pytest.mark.parametrize(
    ("one", "other", "is_one_source"),
    [
        ("sip:+491705550100@sbc.provider.test", "sip:+491705550101@sbc.provider.test", True),
        ("sip:+491705550100@sbc.provider.test", "sip:sbc.provider.test", True),
        ("sip:+491705550100@sbc.provider.test", "sip:+491705550100@pbx.branch.test", False),
        ("sip:erin@partner.test", "sip:frank@partner.test", True),
        ("sip:alice@example.test", "sip:bob@example.test", False),
    ],
)
def test_callers_of_one_trunk_or_partner_have_one_source(one: str, other: str, *, is_one_source: bool) -> None:
    callers = [ForwardedCaller.of(identity, OURS) for identity in (one, other)]
    assert callers[0].caller != callers[1].caller
    assert (callers[0].source == callers[1].source) == is_one_source


def test_last_diversion_counts_which_is_that_of_the_front_end() -> None:
    ours, forged = (ForwardedCaller.of(f"sip:{who}@example.test", OURS) for who in ("bob", "carol"))
    values = [f"<sip:+493012345@example.test;user=phone{one.param()}>;reason=away" for one in (forged, ours)]
    assert forwarded_caller(diverted(*values)) == ours


@pytest.mark.parametrize(
    "value", ["<sip:alice@example.test>;reason=away", "<tel:+493012345>", "<sip:alice@example.test;caller>", "<<"]
)
def test_forwarded_call_without_a_told_caller_is_one(value: str) -> None:
    assert forwarded_caller(diverted(value)) == UNTOLD


def test_call_without_diversion_was_not_forwarded() -> None:
    assert forwarded_caller(diverted()) is None
