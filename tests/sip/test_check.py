"""Which messages may be acted on: one good message, and every way to spoil it."""

from __future__ import annotations

import pytest

from sipmesh.errors import RemoteError
from sipmesh.sip.check import (
    MAX_METHOD,
    MAX_URI,
    check_request,
    check_response,
    read_request_uri,
    unsupported,
    valid_items,
    valid_tag,
)
from sipmesh.sip.framing import parse_message
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.rows import TOO_MANY

GOOD = b"""INVITE sip:bob@example.test;transport=tls SIP/2.0
Via: SIP/2.0/TLS a.example:5061;branch=z9hG4bK1;rport
Max-Forwards: 70
From: "A" <sip:a@example.test>;tag=1
To: <sips:bob@example.test>
Call-ID: x@y
CSeq: 7 INVITE
Contact: <sip:a@192.0.2.7:5061;transport=tls>
Route: <sip:example.test;lr>, <sip:other.example;lr>
Supported: outbound, path
Require: gruu
Proxy-Require: Sec-Agree
Content-Length: 0

""".replace(b"\n", b"\r\n")


def request(old: bytes = b"", new: bytes = b"") -> Request:
    assert old in GOOD
    found = parse_message(GOOD.replace(old, new, 1))
    assert isinstance(found, Request)
    return found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"", b""),
        (b"INVITE sip:", b"INVITE sips:"),
        (b"Max-Forwards: 70\r\n", b""),
        (b"Max-Forwards: 70", b"Max-Forwards: 0"),
        (b"z9hG4bK1", b"an-old-branch"),
        (b";branch=z9hG4bK1", b""),
        (b"<sip:a@example.test>;tag=1", b"<isbn:2983792873>;tag=1"),
        (b"Contact: <sip:a@192.0.2.7:5061;transport=tls>\r\n", b""),
        (b"Supported: outbound, path", b"Supported:"),
        (b"Supported: outbound, path", b"o: presence.winfo ; id=a b"),
        (b"Supported", b"extensionHeader-!.%*+_`'~"),
        (b"a.example:5061", b"[2001:db8::9]:5061"),
        (b"SIP/2.0/TLS", b"SIP/2.0/CARRIER-PIGEON"),
    ],
)
def test_valid_and_allowed_requests_pass(old: bytes, new: bytes) -> None:
    check_request(request(old, new))


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b" SIP/2.0\r\nVia", b" SIP/7.0\r\nVia", 505),
        (b" SIP/2.0\r\nVia", b" SIP/2.0 \r\nVia", 400),
        (b" SIP/2.0\r\nVia", b" SIP/x\r\nVia", 400),
        (b"INVITE sip", b"INV(TE sip", 400),
        (b"INVITE sip:bob", b"INVITE tel:bob", 400),
        (b"INVITE sip:bob", b"INVITE im:bob", 416),
        (b"INVITE sip:bob", b"INVITE <sip:bob", 400),
        (b"INVITE sip:bob", b"INVITE  sip:bob", 400),
        (b";transport=tls SIP", b"; transport=tls SIP", 400),
        (b";transport=tls SIP", b"?Route=%3Csip:evil.example%3E SIP", 400),
        (b"Supported: ", b"Supported ", 400),
        (b"Supported: ", b"Supp(rted: ", 400),
        (b"Supported: ", b": ", 400),
        (b"From", b"X-From", 400),
        (b"To:", b"X-To:", 400),
        (b"Call-ID", b"X-Call-ID", 400),
        (b"CSeq", b"X-CSeq", 400),
        (b"Via", b"X-Via", 400),
        (b"Supported: outbound, path", b"From: <sip:x@example.test>;tag=2", 400),
        (b"Supported: outbound, path", b"i: other", 400),
        (b"Supported: outbound, path", b"Max-Forwards: 5", 400),
        (b"Supported: outbound, path", b"Expires: 5\r\nExpires: 6", 400),
        (b"Supported: outbound, path", b"Event: dialog x", 400),
        (b"Supported: outbound, path", b"o: dialog,x", 400),
        (b"Supported: outbound, path", b"Event: ;id=1", 400),
        (b"CSeq: 7 INVITE", b"CSeq: 7 OPTIONS", 400),
        (b"CSeq: 7 INVITE", b"CSeq: 4294967296 INVITE", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: 300", 400),
        (b";tag=1", b"", 400),
        (b"z9hG4bK1", b"z9hG4bK", 400),
        (b'"A" <', b'"A <', 400),
        (b'"A" <sip:a@', b"A, B <sip:a@", 400),
        (b"<sips:bob@example.test>", b"< sips:bob@example.test >", 400),
        (b"<sips:bob@example.test>", b"<sip:bob@exa mple.test>", 400),
        (b"<sips:bob@example.test>", b"<sip:%zz@example.test>", 400),
        (
            b"Contact: <sip:a@192.0.2.7:5061;transport=tls>",
            b"Contact: sip:a@192.0.2.7?Route=%3Csip:evil.example%3E",
            400,
        ),
        (b"Contact: <sip:a@192.0.2.7:5061;transport=tls>", b"Contact: <sip:a@2001:db8::1>", 400),
        (b"Route: <sip:example.test;lr>,", b"Route: <sip:example.test;lr>,,", 400),
        (b"Route: <sip:example.test;lr>,", b"Route: <sip:example..test;lr>,", 400),
        (b"x@y", b"x y", 400),
        (b"branch=z9hG4bK1", b"branch=z9hG4bK1;branch=z9hG4bK2", 400),
    ],
)
def test_invalid_requests_are_refused_with_the_right_status(old: bytes, new: bytes, status: int) -> None:
    with pytest.raises(RemoteError) as wrong:
        check_request(request(old, new))
    assert wrong.value.status == status


def test_a_star_contact_passes() -> None:
    check_request(request(b"Contact: <sip:a@192.0.2.7:5061;transport=tls>", b"Contact: *"))


RESPONSE = respond(request(), 200, to_tag="2").encode()


def response(old: bytes = b"", new: bytes = b"") -> Response:
    assert old in RESPONSE
    found = parse_message(RESPONSE.replace(old, new, 1))
    assert isinstance(found, Response)
    return found


@pytest.mark.parametrize(("old", "new"), [(b"", b""), (b" OK", b" "), (b"200", b"699"), (b";tag=2", b"")])
def test_a_good_response_passes(old: bytes, new: bytes) -> None:
    check_response(response(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"200", b"4294967301"),
        (b"200", b"99"),
        (b"200", b"700"),
        (b"200", b"OK"),
        (b"SIP/2.0 200", b"SIP/3.0 200"),
        (b"CSeq: 7", b"CSeq: 36893488147419103232"),
        (b"Call-ID", b"X"),
        (b"Via", b"X"),
        (b"SIP/2.0/TLS", b"SIP/2.0"),
        (b"<sips:bob@", b"< sips:bob@"),
    ],
)
def test_a_broken_response_is_dropped(old: bytes, new: bytes) -> None:
    with pytest.raises(RemoteError):
        check_response(response(old, new))


def test_unknown_extensions_are_listed() -> None:
    """Option tags are tokens, and tokens compare without case (RFC 3261 7.3.1)."""
    assert unsupported(request(), "proxy-require", {"sec-agree"}) == []
    assert unsupported(request(), "proxy-require", {"path"}) == ["Sec-Agree"]
    assert unsupported(request(), "require", frozenset()) == ["gruu"]


LONG_URI = b"sip:bob@example.test;x="


@pytest.mark.parametrize(("octets", "status"), [(MAX_URI, None), (MAX_URI + 1, 414)])
def test_request_uri_has_a_longest(octets: int, status: int | None) -> None:
    uri = LONG_URI + b"a" * (octets - len(LONG_URI))
    assert refusal(request(b"sip:bob@example.test;transport=tls", uri)) == status
    if status is None:
        assert read_request_uri(uri.decode()).host == "example.test"
    else:
        with pytest.raises(RemoteError, match="above"):
            read_request_uri(uri.decode())


@pytest.mark.parametrize(("octets", "status"), [(MAX_URI, None), (MAX_URI + 1, 400)])
def test_uri_of_an_address_has_a_longest(octets: int, status: int | None) -> None:
    """Any address may become a Request-URI."""
    uri = LONG_URI + b"a" * (octets - len(LONG_URI))
    assert refusal(request(b"sips:bob@example.test", uri)) == status


@pytest.mark.parametrize(("octets", "status"), [(MAX_METHOD, None), (MAX_METHOD + 1, 400)])
def test_method_has_a_longest(octets: int, status: int | None) -> None:
    method = b"M" * octets
    assert refusal(request(GOOD, GOOD.replace(b"INVITE", method))) == status


@pytest.mark.parametrize(
    ("method", "status"),
    [
        (b"INVITE", None),
        (b"INVITES", None),
        (b"XINVITE", None),
        (b"Method", None),
        (b"invite", 400),
        (b"InvitE", 400),
        (b"INV", 400),
        (b"i", 400),
        (b"notify", 400),
        (b"SUBSCRIB", 400),
    ],
)
def test_method_that_another_program_reads_as_a_known_one_is_refused(method: bytes, status: int | None) -> None:
    """Control: an unknown method is none of our business (RFC 3261 section 16.3)."""
    assert refusal(request(GOOD, GOOD.replace(b"INVITE", method))) == status


def refusal(asked: Request) -> int | None:
    """The status with which a request is refused, None if it passes."""
    try:
        check_request(asked)
    except RemoteError as wrong:
        return wrong.status
    return None


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (b"Supported: outbound", b"Supported: out\rbound", "a lone CR or LF"),
        (b"Supported: outbound", b"Supported: out\x00bound", "a control character"),
    ],
)
def test_flaw_in_the_header_is_named(old: bytes, new: bytes, what: str) -> None:
    with pytest.raises(RemoteError, match=what):
        check_request(request(old, new))


def test_flawed_response_is_dropped() -> None:
    with pytest.raises(RemoteError, match="a control character"):
        check_response(response(b'From: "A"', b'From: "A\x00"'))


@pytest.mark.parametrize(("tag", "status"), [(b"1", None), (b"a/b=", None), (b'"1"', 400), (b'"1 2"', 400), (b"", 400)])
def test_tag_has_to_be_a_token(tag: bytes, status: int | None) -> None:
    """We write tags without quotes."""
    assert refusal(request(b";tag=1", b";tag=" + tag)) == status


@pytest.mark.parametrize(("below", "status"), [(b"SIP/2.0/TLS b;branch=z9hG4bK2", None), (b"nonsense", 400)])
def test_via_below_the_top_one_is_read_too(below: bytes, status: int | None) -> None:
    assert refusal(request(b"Max-Forwards", b"Via: " + below + b"\r\nMax-Forwards")) == status


def test_valid_items_of_a_malformed_message_are_distinguished() -> None:
    answer = respond(
        request(), 200, headers=[("record-route", "<sip:a.test;lr>, <sip:[>, <sip:b.test;lr>")], to_tag="2"
    )
    assert valid_items(answer, "record-route") == ["<sip:a.test;lr>", "<sip:b.test;lr>"]
    answer.flaws |= TOO_MANY
    assert valid_items(answer, "record-route") == []


@pytest.mark.parametrize(
    ("to", "tag"), [("<sip:b@b.test>;tag=2", "2"), ("<sip:b@b.test>", None), ("<sip:", None), ("<sip:b>;tag= ", None)]
)
def test_valid_tag_is_none_if_it_cannot_be_read(to: str, tag: str | None) -> None:
    answer = respond(request(), 200)
    answer.replace("to", to)
    assert valid_tag(answer) == tag
