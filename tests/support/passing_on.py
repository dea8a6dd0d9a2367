"""What a proxy passes on for octets from a stream, and whether other readers read it as we do."""

from __future__ import annotations

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.response_policy import repeats, restore
from sipmesh.sip.check import check_request, check_response
from sipmesh.sip.framing import Keepalive, MessageReader, parse_message
from sipmesh.sip.message import Request, Response
from support.other_readers import by_the_grammar, disagreements

BODY = b"MESSAGE sip:bob@example.test SIP/2.0\r\nFrom: <sip:boss@example.test>;tag=9\r\n\r\nforged"
HEAD = [
    b'Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1;rport, SIP/2.0/TLS b.example;branch=z9hG4bK2;x="y z"',
    b"Max-Forwards: 70",
    b'From: "Al, ice" <sip:alice@example.test>;tag=a1',
    b"To: Bob <sip:bob@example.test>;tag=b1",
    b"Call-ID: f81d4fae@192.0.2.1",
    b"CSeq: 7 MESSAGE",
    b"Contact: <sip:alice@192.0.2.1;transport=tls>;expires=60",
    b"Record-Route: <sip:one.example;lr>, <sip:two.example;lr>",
    b"Supported: outbound, path",
    b'Subject: caf\xc3\xa9, with (a comment) and "quotes"',
    b"Content-Type: text/plain",
    b"Content-Length: %d" % len(BODY),
]
REQUEST = b"\r\n".join([b"MESSAGE sip:bob@example.test SIP/2.0", *HEAD, b"", BODY])
RESPONSE = REQUEST.replace(b"MESSAGE sip:bob@example.test SIP/2.0", b"SIP/2.0 200 OK", 1)


def _asked() -> Request:
    """The request that `RESPONSE` answers, without the Via that we put on it."""
    asked = parse_message(REQUEST)
    assert isinstance(asked, Request)
    asked.pop_item("via")
    return asked


ASKED = _asked()


def passed_on(data: bytes) -> bytes | None:
    """Give the octets that a proxy sends for a message from a stream; None if it was refused."""
    reader = MessageReader()
    try:
        found = next(iter(reader.feed(data)), None)
        if isinstance(found, Request):
            check_request(found)
            if found.max_forwards:
                found.spend_hop()
            found.prepend("via", "SIP/2.0/TLS our.example:5061;branch=z9hG4bKours")
        elif isinstance(found, Response):
            check_response(found)
            found.pop_item("via")
            if not repeats(found, ASKED):
                restore(found, ASKED)
    except RemoteError:
        return None
    return None if found is None or isinstance(found, Keepalive) else found.encode()


def assert_read_alike(data: bytes) -> None:
    """What is passed on means the same to other readers as to us, or nothing is."""
    sent = passed_on(data)
    if sent is None:
        return
    assert disagreements(sent) == []
    ours = parse_message(sent)
    theirs = by_the_grammar(sent)
    assert [name.encode() for name in ours.names] == [name for name, _ in theirs.fields]
    values = [row.value.encode("utf-8", "surrogateescape") for row in ours.rows]
    assert values == [value for _, value in theirs.fields]
    assert (theirs.body, theirs.rest) == (ours.body, b"")
    assert theirs.values(b"content-length") == [str(len(ours.body)).encode()]
    assert sent.count(b"\r\nContent-Length: %d\r\n" % len(ours.body)) == 1
