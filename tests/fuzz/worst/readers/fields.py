"""Header fields, and what is decided by them."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from fuzz.worst.search import Reader
from fuzz.worst.shape import Piece
from routing.messages import ALICE, BOB, BOT_SIDE, EDGE_SIDE, MATE, OURS, PARTNERS, POOL_SIDE, response, route, token
from sipmesh.errors import RemoteError
from sipmesh.routing.events.subscribe import accepts
from sipmesh.routing.identity.border import Border
from sipmesh.routing.identity.realm import Realms
from sipmesh.routing.identity.response_policy import settle
from sipmesh.routing.proxy.best_response import BestResponse
from sipmesh.routing.registrar.registrar import Binding, FlowFacts, RegistrarLimits, decide
from sipmesh.sip.check import check_response
from sipmesh.sip.digest import Credentials, parse_challenge, realm_of_credentials
from sipmesh.sip.fields import NameAddr, Via
from sipmesh.sip.framing import MessageReader, parse_message
from sipmesh.sip.message import Request, Response, build_request
from sipmesh.sip.tel import TelUri
from sipmesh.sip.uri import SipUri
from support.serving import serve

MOST_HEADER: Final = 60_000
MOST_URI: Final = 16_000
HEADS: Final = b"%b sip:bob@example.test SIP/2.0\r\n"
FIXED: Final = (
    b"Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.test>;tag=1\r\n"
    b"To: <sip:bob@example.test>\r\nCall-ID: x\r\nCSeq: 1 %b\r\n"
)
END: Final = b"Content-Length: 0\r\n\r\n"
CRLF: Final = b"\r\n"
DIALOG: Final = route(token(POOL_SIDE, EDGE_SIDE)).encode()
THEIRS: Final = route(token(BOT_SIDE, EDGE_SIDE)).encode()

LISTS: Final[dict[bytes, tuple[bytes, ...]]] = {
    b"Route": (b"<sip:fe1.example.test;lr;{}>,", b"<sip:{}@fe1.example.test;lr>,", DIALOG + b",", THEIRS + b","),
    b"Record-Route": (b"<sip:{}@fe1.example.test;lr>,", DIALOG + b","),
    b"Via": (b"SIP/2.0/TLS {}:5061;branch=z9hG4bK1,", b"SIP/2.0/TLS fe1.example.test:5062;branch=z9hG4bK{},"),
    b"Contact": (b"<sip:{}@192.0.2.1>;q=0.5,", b'"{}" <sip:b@c>,', b"sip:{},"),
    b"Path": (b"<sip:{}@fe1.example.test;lr>,",),
    b"P-Asserted-Identity": (b"<sip:{}@example.test>,", b"<tel:+49{}>,"),
    b"P-Preferred-Identity": (b"<sip:{}@example.test>,",),
    b"Require": (b"{},",),
    b"Proxy-Require": (b"{},",),
    b"Supported": (b"{},",),
    b"Privacy": (b"{};", b"id;"),
    b"Identity": (b"{};info=<https://a.test>,",),
    b"Reason": (b'SIP;cause=200;text="{}",',),
    b"History-Info": (b"<sip:{}@example.test>;index=1,",),
    b"Replaces": (b"{};from-tag=1;to-tag=2,",),
    b"Refer-To": (b"<sip:{}@example.test?Replaces=1>,",),
    b"Event": (b"{};id={},",),
    b"Accept": (b"application/{},",),
    b"Content-Type": (b"a/b;{}=1",),
    b"Content-Encoding": (b"{},",),
    b"Expires": (b"{}", b"0"),
    b"Geolocation": (b"<cid:{}@a>,",),
    b"Warning": (b'399 h "{}",',),
    b"Subject": (b"{} ", b"\\"),
    b"Proxy-Authorization": (b'a{}="1",', b'Digest realm="example.test",nonce="{}",'),
}
"""What the lists of some header fields have: the fields that servers read, and some that they pass on."""

PIECES: Final = (
    *(Piece(name + b": ", item, CRLF) for name, items in LISTS.items() for item in items),
    *(
        Piece(name + b": <sip:a@example.test", item, b">\r\n")
        for name in (b"Contact", b"Route")
        for item in (b";{}=1", b"%41", b"?{}=1&")
    ),
    *(
        Piece(name + b": <sip:a@example.test>", item, CRLF)
        for name in (b"Contact", b"P-Asserted-Identity")
        for item in (b";{}=1", b';{}="\\""')
    ),
    Piece(b'Contact: "', b"\\\\", b'" <sip:a@b>\r\n'),
    Piece(b'Contact: "', b'\\"', b" <sip:a@b>\r\n"),
    Piece(b"Subject: ", b"\r\n {}", CRLF),
    Piece(b"Contact: a", b" \t", b"<sip:a@b>\r\n"),
    Piece(b"Contact: ", b",", CRLF),
    Piece(b"Contact: ", b"<", CRLF),
    Piece(b"Contact: ", b";", CRLF),
    Piece(b"{}: a\r\n"),
    Piece(b"{}: ", b"a,", CRLF),
    Piece(b"\xff{}\r\n"),
)


def header_of(method: bytes, name: bytes = b"") -> tuple[bytes, bytes]:
    """Give the octets before and after the fields of a request, without its field *name*."""
    fixed = b"".join(line for line in FIXED.splitlines(keepends=True) if not name or not line.startswith(name))
    return HEADS % method + fixed.replace(b"%b", method), END


def _request(method: bytes, name: bytes = b"") -> Reader:
    before, after = header_of(method, name)
    label = f"{method.decode()} at a front end" + (f", other {name.decode()}" if name else "")
    pieces = PIECES if not name else _singles_of(name)
    return Reader(label, MOST_HEADER, pieces, serve, lambda middle: before + middle + after)


def _singles_of(name: bytes) -> tuple[Piece, ...]:
    """The fields that a request has once, in another form."""
    values: dict[bytes, tuple[tuple[bytes, bytes, bytes], ...]] = {
        b"From": (
            (b"<sip:a@b", b";{}=1", b">;tag=1"),
            (b"<sip:a@b>;tag=1", b";{}=1", b""),
            (b"<sip:a@b>;tag=1", b';{}="\\\\"', b""),
            (b'"', b"\\\\", b'" <sip:a@b>;tag=1'),
            (b'"', b'\\"', b"<sip:a@b>;tag=1"),
            (b"a", b" \t", b"<sip:a@b>;tag=1"),
            (b"<sip:", b"%61", b"@b>;tag=1"),
            (b"<sip:a@b>;tag=", b"{}", b""),
        ),
        b"Call-ID": ((b"", b"{}", b""), (b"", b"<", b"@>")),
        b"CSeq": ((b"", b"9", b" INVITE"), (b"1", b"\t", b"INVITE"), (b"", b"0", b"1 INVITE")),
        b"Via": (
            (b"SIP/2.0/TLS a", b";p{}=1", b""),
            (b"SIP/2.0/TLS a", b" ", b": 5061;branch=z9hG4bK1"),
            (b"SIP/2.0/TLS a", b" :", b""),
            (b"SIP/2.0/TLS a;branch=z9hG4bK", b"{}", b""),
            (b"", b"SIP/2.0/TLS a;branch=z9hG4bK{},", b""),
        ),
    }
    return tuple(Piece(name + b": " + opens, item, closes + CRLF) for opens, item, closes in values[name])


def _uri_line(middle: bytes) -> bytes:
    before, after = header_of(b"MESSAGE")
    return before.replace(b".test SIP", b".test" + middle.replace(b" ", b"") + b" SIP", 1) + after


TEXTS: Final = (
    Piece(b"", b";{}=1"),
    Piece(b"", b";{}"),
    Piece(b"", b"?{}=1&"),
    Piece(b"", b"&{}=1"),
    Piece(b"", b"%41"),
    Piece(b"", b"%4"),
    Piece(b"", b";"),
    Piece(b"", b"{}."),
    Piece(b"", b":{}"),
    Piece(b"", b"{}"),
    Piece(b"", b"["),
    Piece(b"", b"@"),
    Piece(b"", b"-"),
    Piece(b"", b"+"),
    Piece(b"", b"\xff"),
)

DIGEST: Final = (
    Piece(b"", b'{}="1",'),
    Piece(b"", b"{}=1,"),
    Piece(b"", b'{}="\\"",'),
    Piece(b'a="', b"\\", b'",'),
    Piece(b"", b","),
    Piece(b"", b'"'),
    Piece(b"", b" \t"),
    Piece(b'realm="', b"{}", b'",'),
    Piece(b'nonce="', b"{}", b'",'),
    Piece(b'uri="', b"{}", b'",'),
)


def _quietly(text: str) -> None:
    for read in (Credentials.parse, parse_challenge, realm_of_credentials):
        with suppress(RemoteError):
            read(text)


def _uri(text: str) -> None:
    with suppress(RemoteError):
        read = SipUri.parse(text)
        read.equivalent(SipUri.parse(text.swapcase()))
        str(read.with_user("a")) if hasattr(read, "with_user") else str(read)
    with suppress(RemoteError):
        TelUri.parse("tel:" + text[5:])


def _address(text: str) -> None:
    for kind in (NameAddr, Via):
        with suppress(RemoteError):
            str(kind.parse(text))


STORED: Final = tuple(
    Binding(
        aor=ALICE,
        contact=f"sip:alice@192.0.2.{number}:5061;transport=tls",
        instance=None,
        reg_id=None,
        q=1.0,
        call_id=f"{number}",
        cseq=1,
        server="fe1.example.test",
        incarnation=7,
        flow=number,
        token="t",
        expires_at=1e10,
        user_agent="",
        interval_s=60,
    )
    for number in range(RegistrarLimits().max_contacts)
)
HERE: Final = FlowFacts("fe1.example.test", 7, 41, "token")


def _register(data: bytes) -> None:
    for message in MessageReader().feed(data):
        if isinstance(message, Request):
            decide(message, ALICE, STORED, HERE, RegistrarLimits(), at=1.0)


def _register_head(middle: bytes) -> bytes:
    before, after = header_of(b"REGISTER")
    return before + middle + after


INVITE: Final = build_request(
    "INVITE",
    BOB,
    [
        ("via", "SIP/2.0/TLS 192.0.2.1:40000;branch=z9hG4bKfirst"),
        ("from", f"<{ALICE}>;tag=1"),
        ("to", f"<{BOB}>"),
        ("call-id", "call-1"),
        ("cseq", "1 INVITE"),
    ],
)
BORDER: Final = Border(Realms(OURS, PARTNERS), PARTNERS)


def _answer(data: bytes) -> None:
    message = parse_message(data)
    if isinstance(message, Response):
        check_response(message)
        message.pop_item("via")
        settle(message, INVITE, MATE, BORDER, "fe1.example.test")
        best = BestResponse(message)
        best.consider(message)
        best.merged().encode()


def _answer_head(middle: bytes) -> bytes:
    head, _, rest = response(407).encode().partition(CRLF)
    return head + b"\r\nVia: SIP/2.0/TLS fe1.example.test:5061;branch=z9hG4bK1\r\n" + middle + rest


ANSWERS: Final = (
    *PIECES,
    Piece(b"Proxy-Authenticate: ", b'Digest realm="{}",nonce="1",', CRLF),
    Piece(b"Proxy-Authenticate: Digest realm=", b'{}="1",', CRLF),
    Piece(b"WWW-Authenticate: ", b'Digest realm="{}",nonce="1",', CRLF),
)


def _subscribe(data: bytes) -> None:
    for message in MessageReader().feed(data):
        if isinstance(message, Request):
            accepts(message, "application/pidf+xml")


READERS: Final = (
    _request(b"INVITE"),
    _request(b"MESSAGE"),
    _request(b"SUBSCRIBE"),
    _request(b"REFER"),
    *(_request(b"INVITE", name) for name in (b"From", b"Call-ID", b"CSeq", b"Via")),
    Reader("Request-URI", MOST_URI, TEXTS, serve, _uri_line),
    Reader(
        "SIP and tel URI",
        MOST_HEADER,
        TEXTS,
        _uri,
        lambda middle: b"sip:a" + middle,
        lambda data: data.decode("latin-1"),
    ),
    Reader(
        "address and Via",
        MOST_HEADER,
        (*TEXTS, Piece(b'"', b"\\\\", b'"'), Piece(b"", b"<"), Piece(b"", b'"{}"'), Piece(b"", b" ")),
        _address,
        lambda middle: b"<sip:a@b>" + middle,
        lambda data: data.decode("latin-1"),
    ),
    Reader(
        "digest", MOST_HEADER, DIGEST, _quietly, lambda middle: b"Digest " + middle, lambda data: data.decode("latin-1")
    ),
    Reader("REGISTER at the registrar", MOST_HEADER, PIECES, _register, _register_head),
    Reader("response", MOST_HEADER, ANSWERS, _answer, _answer_head),
    Reader(
        "Accept of a subscription",
        MOST_HEADER,
        PIECES,
        _subscribe,
        lambda middle: header_of(b"SUBSCRIBE")[0] + middle + END,
    ),
)
