"""Which messages belong together, and the two requests that a transaction makes itself."""

from __future__ import annotations

import pytest

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.check import check_request
from sipmesh.sip.message import Request, build_request, respond
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from sipmesh.sip.transaction.key import cancelled_key, client_key, server_key


def request(
    method: str, *, via: str = "SIP/2.0/TLS a.example;branch=z9hG4bK1", to: str = "<sip:b@example.test>"
) -> Request:
    headers = [
        ("via", via),
        ("via", "SIP/2.0/TLS below.example;branch=z9hG4bK0"),
        ("from", "<sip:a@example.test>;tag=1"),
        ("to", to),
        ("call-id", "x"),
        ("cseq", f"1 {method}"),
        ("route", "<sip:one;lr>, <sip:two;lr>"),
        ("route", "<sip:three;lr>"),
    ]
    return build_request(method, "sip:b@example.test", headers)


def test_an_ack_belongs_to_its_invite_and_a_cancel_to_itself() -> None:
    """RFC 3261 17.2.3 and 9.2."""
    invite = server_key(request("INVITE"))
    assert server_key(request("ACK", to="<sip:b@example.test>;tag=2")) == invite
    assert server_key(request("CANCEL")) != invite
    assert cancelled_key(request("CANCEL")) == invite


@pytest.mark.parametrize("via", ["SIP/2.0/TLS a.example;branch=z9hG4bK2", "SIP/2.0/TLS a.example:5061;branch=z9hG4bK1"])
def test_another_branch_or_sender_is_another_transaction(via: str) -> None:
    assert server_key(request("INVITE", via=via)) != server_key(request("INVITE"))
    assert server_key(request("INVITE", via=via)) == server_key(request("INVITE", via=via))


def test_without_the_cookie_the_fields_are_compared() -> None:
    old = "SIP/2.0/TLS a.example;branch=1"
    invite = request("INVITE", via=old)
    assert server_key(request("ACK", via=old, to="<sip:b@example.test>;tag=2")) == server_key(invite)
    other = request("INVITE", via=old)
    other.replace("call-id", "y")
    assert server_key(other) != server_key(invite)


def test_a_response_finds_the_request_by_our_branch_and_its_method() -> None:
    assert client_key(respond(request("INVITE"), 200)) == "z9hG4bK1 INVITE"
    assert client_key(respond(request("CANCEL"), 200)) == "z9hG4bK1 CANCEL"
    with pytest.raises(RemoteError):
        client_key(respond(request("INVITE", via="SIP/2.0/TLS a.example"), 200))


def test_the_ack_of_a_refusal_follows_the_invite() -> None:
    """RFC 3261 17.1.1.3: the INVITE's URI, top Via, Route, From, Call-ID and number, the response's To."""
    invite = request("INVITE")
    ack = ack_for(invite, respond(invite, 486, to_tag="2"))
    check_request(ack)
    assert ack.start_line == "ACK sip:b@example.test SIP/2.0"
    assert (ack.values("via"), str(ack.cseq), ack.to.tag) == (["SIP/2.0/TLS a.example;branch=z9hG4bK1"], "1 ACK", "2")
    assert ack.items("route") == invite.items("route")
    assert server_key(ack) == server_key(invite)


def test_a_cancel_follows_the_invite_and_keeps_its_to() -> None:
    """RFC 3261 9.1."""
    invite = request("INVITE")
    cancel = cancel_for(invite)
    check_request(cancel)
    assert (cancel.first("to"), str(cancel.cseq)) == (invite.first("to"), "1 CANCEL")
    assert cancelled_key(cancel) == server_key(invite)


def test_only_an_invite_has_an_ack_or_a_cancel() -> None:
    with pytest.raises(LocalError):
        cancel_for(request("MESSAGE"))
    with pytest.raises(LocalError):
        ack_for(request("MESSAGE"), respond(request("MESSAGE"), 486))
