"""Requests that are refused from their octets: what the response repeats, and what is left for the parser."""

from __future__ import annotations

import pytest

from sipmesh.routing.early_refusal import CLIENT_METHODS, SERVER_METHODS, EarlyRefusal, refuse_early
from sipmesh.routing.overload import Demand, OverloadControl
from sipmesh.sip.framing import parse_message
from sipmesh.sip.message import Response

HEAD = """\
MESSAGE sip:bob@b.test SIP/2.0
Via: SIP/2.0/TLS a.test:5061;rport;branch=z9hG4bK1
Via: SIP/2.0/TLS older.test;branch=z9hG4bK0
Max-Forwards: 70
From: <sip:a@a.test>;tag=1
To: Bob <sip:bob@b.test>
Call-ID: 1@a.test
CSeq: 7 MESSAGE
Content-Length: 5
"""


def octets(old: str = "", new: str = "", body: bytes = b"hello") -> bytes:
    """The message above, with one thing changed."""
    assert old in HEAD
    return HEAD.replace(old, new, 1).replace("\n", "\r\n").encode() + b"\r\n" + body if old else octets("7", "7", body)


def refuse(chunk: bytes, *, loss: float = 1.0, methods: frozenset[bytes] = CLIENT_METHODS) -> EarlyRefusal:
    control = OverloadControl(0.1, 0.5, 0.25)
    control.active, control.loss = True, loss
    return refuse_early(chunk, control, Demand(), methods, b"192.0.2.7", b"4711")


def test_response_repeats_what_the_rfc_asks_for() -> None:
    """RFC 3261 section 8.2.6.2: each Via in its order, From, To with a tag, Call-ID and CSeq; RFC 3581 in the top Via."""
    result = refuse(octets())
    assert (result.rest, result.refused, result.admitted) == (b"", 1, 0)
    response = parse_message(result.answers)
    assert isinstance(response, Response)
    assert response.status == 503
    assert response.top_via.branch == "z9hG4bK1"
    assert "rport=4711" in str(response.top_via)
    assert "received=192.0.2.7" in str(response.top_via)
    assert b"older.test;branch=z9hG4bK0" in result.answers
    assert (response.call_id, response.first("cseq"), response.first("from")) == (
        "1@a.test",
        "7 MESSAGE",
        "<sip:a@a.test>;tag=1",
    )
    assert response.to.tag
    assert 5 <= int(response.first("retry-after") or 0) <= 12


def test_copies_of_a_request_get_the_same_tag() -> None:
    assert refuse(octets()).answers == refuse(octets()).answers


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("MESSAGE sip", "INVITE sip"),
        ("MESSAGE sip", "REGISTER sip"),
        ("MESSAGE sip", "ACK sip"),
        ("MESSAGE sip", "CANCEL sip"),
        ("MESSAGE sip", "BYE sip"),
        ("MESSAGE sip:bob@b.test SIP/2.0", "SIP/2.0 200 OK"),
        ("<sip:bob@b.test>", "<sip:bob@b.test>;tag=9"),
        ("<sip:bob@b.test>", "<sip:bob@b.test>;TAG=9"),
        ("Via: SIP/2.0/TLS a", "v: SIP/2.0/TLS a"),
        ("Via: SIP/2.0/TLS older", "v: SIP/2.0/TLS older"),
        ("Via: SIP/2.0/TLS older", "VIA : SIP/2.0/TLS older"),
        ("From:", "From :"),
        ("Call-ID", "call-id"),
        ("To: Bob", "To: Bob\n "),
        ("To: Bob", "To: Bob\n\t"),
        (";rport", ";rport=1"),
        (";rport", ";received=192.0.2.1"),
        ("a.test:5061", "a.test, SIP/2.0/TLS b.test"),
        ("CSeq: 7 MESSAGE\n", ""),
        ("Content-Length: 5", "l: 5"),
        ("Content-Length: 5", "Content-Length: x"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Content-Length: 5\nContent-Length: 5"),
        ("Content-Length: 5", "Content-Length: 00000005"),
        ("Content-Length: 5", "Content-Length: 5\nl: 9"),
        ("Content-Length: 5", "content-LENGTH : 9\nContent-Length: 5"),
    ],
)
def test_what_is_not_plain_or_not_new_is_left_for_the_parser(old: str, new: str) -> None:
    """And is not admitted: a phone that writes its header fields in another way would escape each refusal."""
    chunk = octets(old, new)
    result = refuse(chunk)
    assert (result.rest, result.answers, result.refused, result.admitted) == (chunk, b"", 0, 0)


@pytest.mark.parametrize(("method", "refused"), [("MESSAGE", 1), ("OPTIONS", 0), ("NOTIFY", 0), ("PUBLISH", 0)])
def test_requests_of_the_control_plane_are_not_refused(method: str, refused: int) -> None:
    """Servers probe each other with OPTIONS, and publish with SUBSCRIBE, NOTIFY and PUBLISH."""
    chunk = octets("MESSAGE sip", f"{method} sip")
    assert refuse(chunk, methods=SERVER_METHODS).refused == refused
    assert refuse(chunk).refused == 1


@pytest.mark.parametrize(("loss", "refused"), [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_share_is_refused_and_the_rest_stays_in_its_order(loss: float, refused: int) -> None:
    chunk = b"".join(octets("7", str(number)) for number in range(8))
    result = refuse(chunk, loss=loss)
    assert (result.refused, result.admitted) == (refused, 8 - refused)
    assert result.answers.count(b"SIP/2.0 503") == refused
    numbers = [int(part[:1]) for part in result.rest.split(b"CSeq: ")[1:]]
    assert (len(numbers), numbers) == (8 - refused, sorted(numbers))


def test_beginning_of_the_next_message_is_kept() -> None:
    """What is not whole is not refused."""
    chunk = octets() + octets("7", "8")[:-1]
    result = refuse(chunk)
    assert (result.rest, result.refused) == (octets("7", "8")[:-1], 1)


def test_keepalive_in_front_leaves_all_to_the_parser() -> None:
    chunk = b"\r\n\r\n" + octets()
    assert refuse(chunk).rest == chunk


def test_choice_of_a_request_that_is_not_plain_stays_for_the_parser() -> None:
    """What comes before it is decided, and what comes after it is not admitted either; the share stays what it is."""
    control = OverloadControl(0.1, 0.5, 0.25)
    control.active, control.loss = True, 0.5
    odd = octets("From:", "f:")
    result = refuse_early(octets() + odd + octets(), control, Demand(), CLIENT_METHODS, b"192.0.2.7", b"4711")
    assert (result.refused, result.admitted, result.rest) == (0, 1, octets() + odd + octets())
    assert [control.refuses_new(Demand(), 0) for _ in range(4)] == [True, False, True, False]
