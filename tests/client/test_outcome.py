"""The values from a final response, and from a received message."""

from __future__ import annotations

import pytest

from sipmesh.client.outcome import Outcome, Text, hops_back, hops_of, identity_of
from sipmesh.sip.message import Request, build_request, respond

ROUTES = ["<sip:x@edge1.example.test;lr>", "<sip:y@fe2.example.test;lr>", "<sip:z@fe2.example.test;lr>"]


def message(*headers: tuple[str, str], body: bytes = b"hello") -> Request:
    fixed = [("via", f"SIP/2.0/TLS {host}:5062;branch=z9hG4bK{host}") for host in ("fe1.example.test", "192.0.2.9")]
    fixed += [("from", "<sip:alice@example.test>;tag=1"), ("to", "<sip:bob@example.test>")]
    return build_request("MESSAGE", "sip:bob@example.test", [*fixed, *headers], body)


@pytest.mark.parametrize(("status", "ok"), [(199, False), (200, True), (299, True), (300, False), (486, False)])
def test_only_a_2xx_is_ok(status: int, *, ok: bool) -> None:
    assert Outcome.of(respond(message(), status), 0.5).ok is ok


def test_outcome_has_the_warnings() -> None:
    headers = [("warning", '399 fe1 "one"'), ("warning", '399 edge1 "two"')]
    outcome = Outcome.of(respond(message(), 403, headers=headers), 0.5)
    assert outcome.warnings == ('399 fe1 "one"', '399 edge1 "two"')
    assert str(outcome) == '403 Forbidden 399 fe1 "one" 399 edge1 "two"'


def test_hops_are_the_hosts_that_record_routed_and_each_counts_once() -> None:
    """RFC 5658: a host with two rows is one hop."""
    answer = respond(message(), 200, headers=[("record-route", route) for route in ROUTES])
    assert hops_of(answer) == ("fe2.example.test", "edge1.example.test")
    assert hops_of(respond(message(), 200)) == ()


def test_hops_back_are_the_hosts_of_the_vias_from_the_sender_on() -> None:
    assert hops_back(message()) == ("192.0.2.9", "fe1.example.test")


@pytest.mark.parametrize(
    ("headers", "identity"),
    [((), None), ([("p-asserted-identity", "<sip:alice@example.test>")], "sip:alice@example.test")],
)
def test_identity_is_what_the_server_asserts(headers: list[tuple[str, str]], identity: str | None) -> None:
    assert identity_of(message(*headers)) == identity


def test_text_has_the_sender_and_the_body() -> None:
    text = Text.of(message(("content-type", "text/html"), body=b"caf\xc3\xa9 \xff"))
    assert (text.sender, text.content_type, text.text) == ("sip:alice@example.test", "text/html", "café \ufffd")
    assert Text.of(message(body=b"")).content_type == "text/plain"
