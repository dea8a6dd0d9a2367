"""Whole messages: start lines, composing, answering."""

from __future__ import annotations

import pytest
from sipmessage import Message as Oracle

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.message import Message, Request, Response, build_request, parse_head, respond, stateless_tag
from sipmesh.sip.rows import rows_of

HEADERS = [
    ("via", "SIP/2.0/TLS a.example;branch=z9hG4bK1"),
    ("via", "SIP/2.0/TLS b.example;branch=z9hG4bK2"),
    ("from", '"A" <sip:a@example.test>;tag=1'),
    ("to", "<sip:bob@example.test>"),
    ("call-id", "x@y"),
    ("cseq", "7 MESSAGE"),
]


@pytest.fixture(name="request_")
def _request() -> Request:
    return build_request("MESSAGE", "sip:bob@example.test", HEADERS, b"hi", "text/plain")


def test_a_built_request_is_read_by_sipmessage(request_: Request) -> None:
    other = Oracle.parse(request_.encode())
    assert (other.headers["call-id"], other.headers["content-length"], other.body) == ("x@y", "2", b"hi")
    assert [str(via) for via in other.headers.getlist("via")] == [value for name, value in HEADERS if name == "via"]


def test_a_request_line_has_three_parts() -> None:
    found = parse_head(b"MESSAGE sip:bob@example.test sip/2.0\r\nVia: x")
    assert isinstance(found, Request)
    assert (found.method, found.uri, found.version, found.lines) == (
        "MESSAGE",
        "sip:bob@example.test",
        "SIP/2.0",
        [b"Via: x"],
    )


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"INVITE  sip:a  SIP/2.0", ("INVITE", " sip:a ", "SIP/2.0")),
        (b"INVITE sip:a; lr SIP/2.0", ("INVITE", "sip:a; lr", "SIP/2.0")),
        (b"INVITE sip:a SIP/2.0 ", ("INVITE", "sip:a SIP/2.0", "")),
        (b"INVITE sip:a SIP/7.0", ("INVITE", "sip:a", "SIP/7.0")),
    ],
)
def test_a_faulty_request_line_still_gives_a_request_to_answer(line: bytes, parts: tuple[str, str, str]) -> None:
    found = parse_head(line)
    assert isinstance(found, Request)
    assert (found.method, found.uri, found.version) == parts


@pytest.mark.parametrize("line", [b"", b"hello", b"INVITE sip:a", b"GET / HTTP/1.1", b"\x16\x03\x01\x02"])
def test_start_line_that_is_not_sip_is_refused(line: bytes) -> None:
    with pytest.raises(RemoteError):
        parse_head(line)


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"SIP/2.0 200 OK", 200, "OK"),
        (b"SIP/2.0 100 ", 100, ""),
        (b"SIP/2.0 100", 100, ""),
        (b"SIP/2.0 183 = 2**3 \xd0\xbd", 183, "= 2**3 \u043d"),
        (b"SIP/2.0 4294967301 x", 0, "x"),
        (b"SIP/2.0 -200 x", 0, "x"),
        (b"SIP/2.0 ok x", 0, "x"),
    ],
)
def test_status_lines(line: bytes, status: int, reason: str) -> None:
    found = parse_head(line)
    assert isinstance(found, Response)
    assert (found.status, found.reason) == (status, reason)


def test_an_answer_copies_what_the_rfc_says(request_: Request) -> None:
    """RFC 3261 8.2.6.2: Via in order, From, To, Call-ID and CSeq; the To gets a tag."""
    response = respond(request_, 404, headers=[("Server", "x")], to_tag="t1")
    assert response.encode() == (
        b"SIP/2.0 404 Not Found\r\n"
        b"Via: SIP/2.0/TLS a.example;branch=z9hG4bK1\r\nVia: SIP/2.0/TLS b.example;branch=z9hG4bK2\r\n"
        b'From: "A" <sip:a@example.test>;tag=1\r\nTo: <sip:bob@example.test>;tag=t1\r\n'
        b"Call-ID: x@y\r\nCSeq: 7 MESSAGE\r\nServer: x\r\nContent-Length: 0\r\n\r\n"
    )
    assert response.first("server") == "x"


def test_response_100_has_no_tag_and_copies_the_timestamp(request_: Request) -> None:
    request_.append("timestamp", "54")
    response = respond(request_, 100)
    assert (response.reason, response.to.tag, response.first("timestamp")) == ("Trying", None, "54")
    assert respond(request_, 180).first("timestamp") is None


def test_existing_to_tag_is_kept(request_: Request) -> None:
    request_.replace("to", "sip:bob@example.test;tag=old")
    assert respond(request_, 200, to_tag="new").to.tag == "old"


def test_copies_of_a_request_get_the_same_tag_and_others_another(request_: Request) -> None:
    """RFC 3261 8.2.7: a stateless server answers a copy with the same tag."""
    tag = respond(request_, 200).to.tag
    assert tag == respond(request_.copy(), 486).to.tag == stateless_tag(request_)
    request_.replace("call-id", "other")
    assert respond(request_, 200).to.tag != tag


def test_malformed_request_is_answered_with_the_fields_it_has() -> None:
    broken = Request("INVITE", "x", rows_of(["Via: ???", "To: <", "CSeq: 1 INVITE", "CSeq: 2 INVITE"]))
    assert respond(broken, 400, body=b"why").encode() == (
        b"SIP/2.0 400 Bad Request\r\nVia: ???\r\nTo: <\r\nCSeq: 1 INVITE\r\nContent-Length: 3\r\n\r\nwhy"
    )


def test_a_reason_of_our_own_holds_no_line_break(request_: Request) -> None:
    assert respond(request_, 400, "Because").start_line == "SIP/2.0 400 Because"
    with pytest.raises(LocalError):
        respond(request_, 400, "a\r\nEvil: 1")
    with pytest.raises(LocalError):
        build_request("OPTIONS", "sip:a SIP/2.0\r\nEvil: 1", [])


def test_a_response_can_be_copied_and_edited(request_: Request) -> None:
    response = respond(request_, 200, body=b"x")
    other = response.copy()
    assert (other.pop_item("via"), other.count("via"), response.count("via")) == (HEADERS[0][1], 1, 2)
    assert (other.status, other.reason, other.body) == (200, "OK", b"x")


def test_messages_describe_themselves(request_: Request) -> None:
    assert repr(request_) == "<Request 'MESSAGE sip:bob@example.test SIP/2.0' 8 rows, 2 octets>"
    assert repr(respond(request_, 200)) == "<Response 'SIP/2.0 200 OK' 7 rows, 0 octets>"


def test_message_without_a_start_line_is_not_implemented() -> None:
    with pytest.raises(NotImplementedError):
        Message(rows_of(["Via: x"])).encode()
