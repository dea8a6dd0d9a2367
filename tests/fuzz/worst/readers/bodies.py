"""Bodies: session descriptions, bodies with parts, presence, chat, signed calls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from fuzz.worst.search import Reader
from fuzz.worst.shape import Piece
from routing.messages import ALICE, BOB
from sipmesh.errors import RemoteError
from sipmesh.routing.content_indirection import is_elsewhere
from sipmesh.routing.events.pidf import PIDF, compose, parse_pidf
from sipmesh.routing.events.subscribe import LARGEST_DOCUMENT
from sipmesh.routing.identity.cpim import authors_of
from sipmesh.routing.media.judgement import Offer, fault_in
from sipmesh.routing.media.origin import AnonymousBody
from sipmesh.routing.passport.claims import keys_in, read_claims
from sipmesh.routing.passport.identity_field import read_field
from sipmesh.sip.message import Request, build_request, respond
from sipmesh.topology.document.media_policy import MediaPolicy
from support.descriptions import CRYPTO, DTLS, FINGERPRINT, OPPORTUNISTIC, SDES, SDP, SESSION, put_body

MOST_BODY: Final = 131_072
LINE: Final = b"\r\n"
SDP_PIECES: Final = (
    Piece(b"a=group:BUNDLE", b" {}", LINE),
    Piece(b"a=group:LS", b" {}", LINE),
    Piece(b"a=mid:", b"{}", LINE),
    Piece(b"a=fingerprint:sha-256 ", b"{}", LINE),
    Piece(FINGERPRINT),
    Piece(CRYPTO),
    Piece(b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 ", b"inline:{};", LINE),
    Piece(b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x", b" {}", LINE),
    Piece(b"a=acap:1 ", b"crypto:{}", LINE),
    Piece(b"a=tcap:1", b" RTP/SAVP", LINE),
    Piece(b"a=path:", b"msrps://{}/a;tcp ", LINE),
    Piece(b"a=", b"{}", LINE),
    Piece(b"a=", b" {}", LINE),
    Piece(b"a={}:", b"1", LINE),
    Piece(b"m=audio 5004 UDP/TLS/RTP/SAVPF", b" {}", LINE),
    Piece(b"m=audio 5004 UDP/TLS/RTP/SAVPF 0\r\na=mid:{}\r\n", b"a=mid:{}\r\n"),
    Piece(b"m=audio 5004 RTP/SAVP 0\r\n" + CRYPTO, b"a={}\r\n"),
    Piece(b"m=audio 0 RTP/AVP 0\r\n", b"a={}\r\n"),
    Piece(b"o=- 1 1", b" {}", LINE),
    Piece(b"o=", b" ", LINE),
    Piece(b"s=", b"{} ", LINE),
    Piece(b"i=", b"{}", LINE),
    Piece(b"m=", b"\t", LINE),
    Piece(b"\r\n"),
    Piece(b"\n"),
    Piece(b"\r"),
    Piece(b"\xe2\x80\xa8"),
    Piece(b"\t"),
)

IN_BUNDLE: Final = (
    b"m=audio 5004 UDP/TLS/RTP/SAVPF 0\r\na=mid:1\r\n" + FINGERPRINT + b"m=video 5004 UDP/TLS/RTP/SAVPF 0\r\n"
)
"""The session part ends here: the section whose keys hold for its bundle, and another one begins."""

PART_PIECES: Final = (
    Piece(b"--b1\r\nContent-Type: application/sdp\r\n\r\n" + SDES, b"a={}\r\n"),
    Piece(b"--b1\r\nContent-Type: text/plain\r\n\r\n", b"{} ", LINE),
    Piece(b"--b1\r\n\r\n"),
    Piece(b"--b1\r\n", b"\r\n {}", b"\r\n\r\n"),
    Piece(b"--b1\r\n", b"A{}: b\r\n", LINE),
    Piece(b"--b1\r\n", b"\r\n", LINE),
    Piece(b"--b1", b" ", LINE),
    Piece(b"--b2{}\r\n"),
    Piece(b"--b1{}\r\n"),
    Piece(b"-"),
    Piece(b"\n"),
    Piece(b"\r\n"),
    Piece(b"\r"),
    Piece(b"m=", b"\t", LINE),
    Piece(b"o=", b" a", LINE),
    Piece(
        b"--b1\r\nContent-Type: multipart/mixed;boundary=b{}\r\n\r\n--b{}\r\nContent-Type: application/sdp\r\n\r\n"
        + SDES,
        b"",
        b"\r\n--b{}--\r\n",
    ),
)
MIXED: Final = "multipart/mixed;boundary=b1"


def _offer(body: bytes, content_type: str = SDP, *, privacy: bool = False) -> Request:
    fields = [
        ("via", "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1"),
        ("from", f"<{ALICE}>;tag=1"),
        ("to", f"<{BOB}>"),
        ("call-id", "x"),
        ("cseq", "1 INVITE"),
    ]
    return build_request("INVITE", BOB, [*fields, *([("privacy", "user")] if privacy else [])], body, content_type)


def _judge(offer: Request) -> None:
    for policy in (MediaPolicy.ENCRYPTED, MediaPolicy.REQUIRED):
        fault_in(offer, policy)
    with suppress(RemoteError):
        keys_in(offer)


def _judge_answer(pair: tuple[Any, Request]) -> None:
    answer, offer = pair
    fault_in(answer, MediaPolicy.ENCRYPTED, Offer(offer))


def _answer_to(body: bytes, content_type: str = SDP) -> tuple[Any, Request]:
    """The answer and its offer are the same, and have media in the clear."""
    offer = _offer(body, content_type)
    answer = respond(offer, 200)
    put_body(answer, body, content_type)
    return answer, offer


def _hide(request: Request) -> None:
    """What a front end does for a request that is forked to ten phones."""
    body = AnonymousBody(request)
    for _ in range(10):
        body.put_into(request.copy())


def _in_parts(middle: bytes) -> bytes:
    return middle + b"\r\n--b1--\r\n"


def _in_nested(depth: int) -> Callable[[bytes], bytes]:
    def wrap(middle: bytes) -> bytes:
        written = middle.replace(b"--b1", b"--b%d" % depth) + b"\r\n--b%d--\r\n" % depth
        for level in range(depth - 1, 0, -1):
            head = b"--b%d\r\nContent-Type: multipart/mixed;boundary=b%d\r\n\r\n" % (level, level + 1)
            written = head + written + b"\r\n--b%d--\r\n" % level
        return written

    return wrap


def _presence(inside: bytes) -> bytes:
    return (
        b'<presence xmlns="%b" xmlns:v="urn:v" entity="%b">' % (PIDF.encode(), ALICE.encode()) + inside + b"</presence>"
    )


def _published(data: bytes) -> None:
    document = parse_pidf(data, "p1-")
    compose(ALICE, [document, document], is_there=True)


XML: Final = (
    Piece(b"<tuple>", b"", b"</tuple>"),
    Piece(b'<tuple id="{}"/>'),
    Piece(b"<v:a", b' v:a{}="1"', b"/>"),
    Piece(b"<v:a", b' a{}="1"', b"/>"),
    Piece(b"<v:a", b' xml:a{}="1"', b"/>"),
    Piece(b'<w:a xmlns:w="urn:{}"', b' w:a{}="1"', b"/>"),
    Piece(b'<w:{} xmlns:w="urn:w">', b"", b"</w:{}>"),
    Piece(b'<w:{} xmlns:w="', b"urn:{}", b'"/>'),
    Piece(b"<note>", b"&amp;", b"</note>"),
    Piece(b"<note>", b"&#13;", b"</note>"),
    Piece(b"<note>", b"<![CDATA[{}]]>", b"</note>"),
    Piece(b"<!--", b"-", b"-->"),
    Piece(b"<note>", b"{}", b"</note>"),
    Piece(b"<note a='", b"&quot;", b"'/>"),
    Piece(b"<x xmlns=''>", b"", b"</x>"),
)


def _spaced(inside: bytes) -> bytes:
    """A document whose elements and attributes are in a namespace that is as long as the rest."""
    return (
        b'<presence xmlns="%b" xmlns:w="urn:%b" entity="a">' % (PIDF.encode(), b"n" * len(inside))
        + inside
        + b"</presence>"
    )


SPACED: Final = (
    Piece(b"<w:a", b' w:a{}="1"', b"/>"),
    Piece(b"<w:a>", b"", b"</w:a>"),
    Piece(b"<w:{}/>"),
    Piece(b"<w:a ", b' b{}="1"', b"/>"),
    Piece(b'<tuple w:{}="1"/>'),
)


def _claims(data: bytes) -> None:
    with suppress(RemoteError):
        read_claims(data)
    with suppress(RemoteError):
        read_field(data.decode("latin-1"))


JSON: Final = (
    Piece(b'"{}":1,'),
    Piece(b'{"mky":', b'[{"alg":"sha-256","dig":"{}"}],', b"},"),
    Piece(b"[", b"", b"],"),
    Piece(b'{"a":', b"", b"},"),
    Piece(b'"', b"\\u0041", b'",'),
    Piece(b"", b"9"),
    Piece(b"", b"1e9,"),
    Piece(b"", b"{}."),
    Piece(b"", b";info={}"),
    Piece(b'"dest":{"tn":[', b'"{}",', b'"1"]},'),
)


def _claim(middle: bytes) -> bytes:
    return b'{"orig":{"tn":"1"},"iat":1,' + middle.rstrip(b",") + b"}"


CPIM: Final = (
    Piece(b"From: <im:", b"{}", b"@example.test>\r\n"),
    Piece(b"From: ", b"<{}>", b"\r\n"),
    Piece(b"a.{}: b\r\n"),
    Piece(b"a", b".{}", b": b\r\n"),
    Piece(b"\r\n"),
    Piece(b"\n"),
    Piece(b" "),
    Piece(b"Content-Type: ", b" ", b"message/ external-body\r\n"),
    Piece(b"content-type:", b"\t", b"\r\n"),
)

_description = SESSION.__add__
READERS: Final = (
    Reader("session description", MOST_BODY, SDP_PIECES, _judge, _description, _offer),
    Reader("session description, with keys", MOST_BODY, SDP_PIECES, _judge, DTLS.__add__, _offer),
    Reader("session description, a bundle", MOST_BODY, SDP_PIECES, _judge, _description, _offer, IN_BUNDLE),
    Reader("answer with its offer", MOST_BODY, SDP_PIECES, _judge_answer, OPPORTUNISTIC.__add__, _answer_to),
    Reader("body with parts", MOST_BODY, PART_PIECES, _judge, _in_parts, lambda data: _offer(data, MIXED)),
    Reader("body with parts in parts", MOST_BODY, PART_PIECES, _judge, _in_nested(4), lambda data: _offer(data, MIXED)),
    Reader(
        "answer with parts",
        MOST_BODY,
        (*PART_PIECES, Piece(b"--b1\r\nContent-Type: application/sdp\r\n\r\n" + OPPORTUNISTIC, b"a={}\r\n")),
        _judge_answer,
        _in_parts,
        lambda data: _answer_to(data, MIXED),
    ),
    Reader("user in a session description", MOST_BODY, SDP_PIECES, _hide, _description, _offer),
    Reader("user in parts", MOST_BODY, PART_PIECES, _hide, _in_nested(4), lambda data: _offer(data, MIXED)),
    Reader("presence", LARGEST_DOCUMENT, XML, _published, _presence),
    Reader("presence with a long namespace", LARGEST_DOCUMENT // 2, SPACED, _published, _spaced),
    Reader("message/cpim", MOST_BODY, CPIM, authors_of, lambda middle: b"To: <a:b>\r\n" + middle + b"\r\n\r\n"),
    Reader("external body", MOST_BODY, CPIM, lambda data: is_elsewhere("message/cpim", data)),
    Reader("claims of a call", 16_384, JSON, _claims, _claim),
)
