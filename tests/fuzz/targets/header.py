"""Header fields: each is read or refused, and what is written means the same as what was read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from fuzz.target import Target, require
from sipmesh.errors import RemoteError
from sipmesh.sip.fields import CSeq, NameAddr, Via, split_list
from sipmesh.sip.header import Message, content_length
from sipmesh.sip.message import Request, parse_head, respond
from sipmesh.sip.rows import VIA
from sipmesh.sip.text import text_of
from support.passing_on import HEAD

TYPED: Final[tuple[Callable[[Message], Any], ...]] = (
    lambda message: message.top_via,
    lambda message: [row.vias for row in message.rows if row.bit == VIA],
    lambda message: message.from_.aor,
    lambda message: message.to.sip_uri,
    lambda message: message.call_id,
    lambda message: message.cseq,
    lambda message: message.max_forwards,
    lambda message: message.expires,
    lambda message: message.contacts,
    lambda message: message.routes,
    content_length,
)


def check(data: bytes) -> None:
    """Read *data* as the header fields of a request, and as the value of each structured field."""
    with suppress(RemoteError):
        request = parse_head(b"OPTIONS sip:a@example.test SIP/2.0\r\n" + data)
        require(isinstance(request, Request), "a header changes the start line")
        _check_fields(request)
        if isinstance(request, Request):
            respond(request, 400).encode()
    for line in text_of(data).split("\r\n"):
        _check_values(line.partition(":")[2])


def _check_fields(message: Message) -> None:
    for read in TYPED:
        with suppress(RemoteError):
            read(message)
    if message.flaws:
        return  # `check_request` refuses it, and nothing is popped
    for name in ("contact", "route", "via", "supported"):
        items = message.items(name)
        with suppress(RemoteError):
            require(
                _popped(message, name) == [item for item in items if item], f"{name} is popped differently than split"
            )
            require(not message.has(name), f"{name} is still there")


def _popped(message: Message, name: str) -> list[str]:
    return list(iter(lambda: message.pop_item(name), None))


def _check_values(text: str) -> None:
    for item in split_list(text):
        _check_round_trip(NameAddr, item)
        _check_round_trip(Via, item)
    _check_round_trip(CSeq, text)


def _check_round_trip(kind: type[NameAddr | Via | CSeq], text: str) -> None:
    try:
        read = kind.parse(text)
    except RemoteError:
        return
    require(kind.parse(str(read)) == read, f"{read!r} is written with another meaning: {str(read)!r}")
    require(str(kind.parse(str(read))) == str(read), f"{read!r} changes each time that it is written")


TARGET: Final = Target(
    name="header",
    holds="raises RemoteError only; addresses, Vias and CSeqs are read back as they were; popping agrees with splitting",
    check=check,
    seeds=(
        b"\r\n".join(HEAD),
        *HEAD,
        b"m: *\r\nExpires: 0",
        b'Contact: "a\\"b, c" <sip:a@[2001:db8::1]:5061;transport=tls?X=y>;q=0.7;+sip.instance="<urn:uuid:1>", <tel:+49>',
        b"v:SIP / 2.0 / TLS\t h : 5061 ;branch= z9hG4bK1 ;received=192.0.2.1;rport",
        b"Contact: sip:a@b;x=1\r\n ,\r\n\t<sip:c@d>",
        b"Route: <sip:a;lr>,,<sip:b;lr>",
        b"From : anonymous <sip:anonymous@anonymous.invalid>;tag=\xff\xfe",
    ),
    work=400,
)
