"""The requests that a transaction makes by itself: they belong to the INVITE only."""

from __future__ import annotations

import pytest

from sipmesh.errors import LocalError
from sipmesh.sip.message import Request, build_request, respond
from sipmesh.sip.transaction.ack import MAX_REASON, MAX_REASONS, ack_for, cancel_for, reasons_of

OURS, THEIRS = "SIP/2.0/TLS 192.0.2.1:5062;branch=z9hG4bKours", "SIP/2.0/TLS 192.0.2.9:40000;branch=z9hG4bKtheirs"


def request(method: str = "INVITE", *headers: tuple[str, str]) -> Request:
    fixed = [
        ("via", OURS),
        ("via", THEIRS),
        ("route", "<sip:fe1.example.test;lr>"),
        ("route", "<sip:fe2.example.test;lr>"),
        ("from", "<sip:alice@example.test>;tag=1"),
        ("to", "<sip:bob@example.test>"),
        ("call-id", "call-1"),
        ("cseq", f"7 {method}"),
        ("max-forwards", "3"),
    ]
    return build_request(method, "sip:bob@192.0.2.9", [*fixed, *headers])


def test_ack_has_the_tag_of_the_response_and_the_top_via_alone() -> None:
    """RFC 3261 section 17.1.1.3."""
    ack = ack_for(request(), respond(request(), 486, to_tag="2"))
    assert (ack.method, ack.uri, ack.values("via")) == ("ACK", "sip:bob@192.0.2.9", [OURS])
    assert (ack.first("to"), ack.first("cseq")) == ("<sip:bob@example.test>;tag=2", "7 ACK")
    assert ack.values("route") == ["<sip:fe1.example.test;lr>", "<sip:fe2.example.test;lr>"]
    assert (ack.call_id, ack.first("from"), ack.first("max-forwards")) == (
        "call-1",
        "<sip:alice@example.test>;tag=1",
        "70",
    )


def test_cancel_has_the_to_of_the_invite_and_its_reasons() -> None:
    """RFC 3261 section 9.1 and RFC 3326."""
    cancel = cancel_for(request(), ("SIP;cause=200", "Q.850;cause=16"))
    assert (cancel.method, cancel.first("to"), cancel.first("cseq")) == ("CANCEL", "<sip:bob@example.test>", "7 CANCEL")
    assert cancel.values("reason") == ["SIP;cause=200", "Q.850;cause=16"]
    assert cancel_for(request()).values("reason") == []


@pytest.mark.parametrize("wrong", [request("MESSAGE"), build_request("INVITE", "sip:bob@example.test", [])])
def test_other_method_or_missing_via_is_a_local_error(wrong: Request) -> None:
    with pytest.raises(LocalError):
        cancel_for(wrong)


def test_reasons_are_forwarded_up_to_their_limits() -> None:
    at_limit, above = "x" * MAX_REASON, "x" * (MAX_REASON + 1)
    assert reasons_of(request("CANCEL", ("reason", at_limit), ("reason", above), ("reason", ""))) == (at_limit,)
    many = [("reason", f"P{number};cause=1") for number in range(MAX_REASONS + 1)]
    assert reasons_of(request("CANCEL", *many)) == tuple(value for _, value in many[:MAX_REASONS])
