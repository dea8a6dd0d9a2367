"""A byte stream, split into messages: chunks make no difference, and every reader finds the same boundaries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fuzz.cuts import in_chunks
from fuzz.target import Target, require
from sipmesh.sip.framing import FramingError, Keepalive, MessageReader, ReadLimits, parse_message
from sipmesh.sip.message import Request, Response
from support.passing_on import REQUEST, RESPONSE, assert_read_alike

LIMITS: Final = ReadLimits(start_line=128, header=512, growth=256, body=512, fields=24, items=12)
"""So low that short inputs meet them."""

Seen = list[str | bytes | int]


def check(data: bytes) -> None:
    """Read *data* as a stream at once and in chunks, and each message that it has once more by itself."""
    for limits in (ReadLimits(), LIMITS):
        for expects in Keepalive:
            whole = _seen(MessageReader(limits, expects=expects), [data])
            cut = _seen(MessageReader(limits, expects=expects), in_chunks(data))
            require(_comparable(whole) == _comparable(cut), f"chunks make a difference: {whole} and {cut}")
    _check_alone(data)
    assert_read_alike(data)


def _seen(reader: MessageReader, chunks: Iterable[bytes]) -> Seen:
    """Give what a reader finds: keepalives, the octets of messages, and the status of the error that ends the stream."""
    seen: Seen = []
    try:
        for chunk in chunks:
            for item in reader.feed(chunk):
                seen.append(item.name if isinstance(item, Keepalive) else item.encode())
                if not isinstance(item, Keepalive):
                    _check_written(item)
    except FramingError as wrong:
        seen.append(wrong.status)
    return seen


def _comparable(seen: Seen) -> Seen:
    """Leave the keepalives out: CRLFs before a start line may be one of them or none, which chunks decide."""
    return [item for item in seen if item not in Keepalive.__members__]


def _check_written(message: Request | Response) -> None:
    """What we write for a message without flaws is read as the same message by both readers."""
    if message.flaws:
        return
    sent = message.encode()
    (again,) = MessageReader().feed(sent)
    require(not isinstance(again, Keepalive) and again.encode() == sent, "a stream is read back differently")
    require(parse_message(sent, alone=True).encode() == sent, "a frame is read back differently")


def _check_alone(data: bytes) -> None:
    """Read *data* as one WebSocket message."""
    try:
        message = parse_message(data, alone=True)
    except FramingError:
        return
    require(len(message.body) <= len(data), "a body that did not come")


TARGET: Final = Target(
    name="framing",
    holds="raises FramingError only; chunks make no difference; what is written is read back; other readers agree",
    check=check,
    seeds=(
        REQUEST,
        RESPONSE,
        REQUEST + b"\r\n\r\n" + RESPONSE + b"\r\n",
        b"\r\n\r\n\r\n" + REQUEST,
        REQUEST.replace(b"Content-Length: 8", b"l :\r\n 8"),
        REQUEST.replace(b"Content-Length", b"X"),
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ),
    work=4000,
)
